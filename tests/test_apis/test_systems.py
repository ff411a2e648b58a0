import pytest

from mmcovid.apis.systems import System, read_systems


def test_configs_and_lists(tmp_path):
    (tmp_path / 'one.py').touch()
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'sub' / 'two.py').touch()
    rows = tmp_path / 'rows.yml'
    rows.write_text('- {name: Two, config: sub/two.py, cfg_options: {a.b: 1}}\n'
                    '- {name: 3, config: one.py, checkpoint_options: {model.stage1: Two}}\n')
    assert read_systems([tmp_path / 'one.py', rows]) == [
        System('one', tmp_path / 'one.py'),
        System('Two', tmp_path / 'sub/two.py', {'a.b': 1}),
        System('3', tmp_path / 'one.py', checkpoint_options={'model.stage1': 'Two'})]


@pytest.mark.parametrize('text, message', [
    ('name: a', 'must be a list'),
    ('- [', 'no YAML file'),
    ('- one.py', 'must have a name and a config'),
    ('- {name: a}', 'must have a name and a config'),
    ('- {name: a, config: one.py, option: 1}', 'must have a name and a config'),
    ('- {name: a, config: two.py}', 'there is no config .*two.py'),
    ('- {name: a, config: one.py, cfg_options: [a=1]}', 'write options as "key: value"'),
    ('- {name: a, config: one.py}\n- {name: a, config: one.py}', "two systems are named 'a'"),
    ('- {name: a, config: one.py, checkpoint_options: {x: b}}\n- {name: b, config: one.py}',
     "a needs the checkpoint of 'b', which must stand above it"),
])
def test_bad_lists(tmp_path, text, message):
    (tmp_path / 'one.py').touch()
    rows = tmp_path / 'rows.yml'
    rows.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_systems([rows])


def test_bad_files(tmp_path):
    with pytest.raises(ValueError, match='there is no file .*one.py'):
        read_systems([tmp_path / 'one.py'])
    (tmp_path / 'rows.txt').touch()
    with pytest.raises(ValueError, match='neither a config .* nor a list'):
        read_systems([tmp_path / 'rows.txt'])
