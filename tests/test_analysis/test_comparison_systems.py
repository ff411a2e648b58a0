import pytest

from mmcovid.analysis.comparison.systems import System, read_systems, with_seeds


def test_configs_and_lists(tmp_path):
    (tmp_path / 'one.py').touch()
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'sub' / 'two.py').touch()
    rows = tmp_path / 'rows.yml'
    rows.write_text(
        '- {name: Two, config: sub/two.py, cfg_options: {a.b: 1}}\n'
        '- {name: 3, config: one.py, checkpoint_options: {model.stage1: Two}}\n'
    )
    assert read_systems([tmp_path / 'one.py', rows]) == [
        System('one', tmp_path / 'one.py'),
        System('Two', tmp_path / 'sub/two.py', {'a.b': 1}),
        System('3', tmp_path / 'one.py', checkpoint_options={'model.stage1': 'Two'}),
    ]


@pytest.mark.parametrize(
    'text, message',
    [
        ('name: a', 'must be a list'),
        ('- [', 'no YAML file'),
        ('- one.py', 'must have a name and a config'),
        ('- {name: a}', 'must have a name and a config'),
        ('- {name: a, config: one.py, option: 1}', 'must have a name and a config'),
        ('- {name: a, config: one.py, seed: 1}', 'must have a name and a config'),
        ('- {name: a, config: two.py}', 'there is no config .*two.py'),
        ('- {name: a, config: one.py, cfg_options: [a=1]}', 'write options as "key: value"'),
        ('- {name: a, config: one.py}\n- {name: a, config: one.py}', "two systems are named 'a'"),
        (
            '- {name: a, config: one.py, checkpoint_options: {x: b}}\n- {name: b, config: one.py}',
            "a needs the checkpoint of 'b', which must stand above it",
        ),
    ],
)
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


def test_each_seed_trains_all_systems(tmp_path):
    first = System('A', tmp_path / 'a.py', {'max_iters': 2})
    second = System('B', tmp_path / 'b.py', checkpoint_options={'model.stage1': 'A'})
    systems = with_seeds([first, second], [0, 7])
    assert [(each.name, each.row, each.seed) for each in systems] == [
        ('A, seed 0', 'A', 0),
        ('B, seed 0', 'B', 0),
        ('A, seed 7', 'A', 7),
        ('B, seed 7', 'B', 7),
    ]
    assert systems[2].cfg_options == {'max_iters': 2, 'randomness.seed': 7}
    assert systems[3].checkpoint_options == {'model.stage1': 'A, seed 7'}
    assert first.row == 'A' and first.seed is None


def test_seeds_that_contradict(tmp_path):
    with pytest.raises(ValueError, match='give each once'):
        with_seeds([System('A', tmp_path / 'a.py')], [1, 1])
    with pytest.raises(ValueError, match='A: sets randomness.seed itself'):
        with_seeds([System('A', tmp_path / 'a.py', {'randomness.seed': 1})], [0, 1])
