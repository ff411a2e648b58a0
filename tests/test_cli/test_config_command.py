import pytest

from mmcovid.cli.config import find_origins, flatten, main


def test_each_value_has_its_file(capsys):
    main(['one-shot_r18_fpn_lstm1_phantom', 'model.attention_head', 'max_iters'])
    lines = [line.split('  # ') for line in capsys.readouterr().out.splitlines()]
    origins = {
        value.split(' = ')[0]: (value.split(' = ')[1].strip(), origin.strip())
        for value, origin in lines
    }
    assert origins['model.attention_head.num_branches'] == (
        '1',
        'phantom/one-shot_r18_fpn_lstm1_phantom.py',
    )
    assert origins['model.attention_head.lstm_channels'] == (
        '128',
        'phantom/one-shot_r18_fpn_lstm2_phantom.py',
    )
    assert origins['model.attention_head.type'] == (
        "'mmcovid.LSTMAttentionHead'",
        '_base_/models/one-shot_r18_fpn_lstm2.py',
    )
    assert origins['max_iters'] == ('600', 'phantom/one-shot_r18_fpn_lstm2_phantom.py')


def test_options_are_named(capsys):
    main(['one-shot_r18_fpn_lstm1_phantom', 'max_iters', '--cfg-options', 'max_iters=7'])
    assert capsys.readouterr().out == 'max_iters = 7  # --cfg-options\n'


def test_config_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'base.py').write_text('a = dict(b=1, c=[1, dict(d=2)], e=dict())\n')
    (tmp_path / 'mine.py').write_text("_base_ = './base.py'\na = dict(b=1, f=3)\n")
    origins = {
        key: (value, file.rpartition('/')[2])
        for key, (value, file) in find_origins('mine.py').items()
    }
    assert origins == {
        'a.b': (1, 'base.py'),
        'a.c': ([1, dict(d=2)], 'base.py'),
        'a.e': ({}, 'base.py'),
        'a.f': (3, 'mine.py'),
    }
    assert dict(flatten(dict(a=dict(), b=dict(c=1)))) == {'a': {}, 'b.c': 1}


def test_as_one_file(capsys, tmp_path):
    main(['one-shot_r18_fpn_lstm1_phantom', '--python'])
    text = capsys.readouterr().out
    values = {}
    exec(text, values)
    assert values['model']['attention_head']['num_branches'] == 1


def test_without_a_name_configs_are_listed(capsys):
    main([])
    listed = capsys.readouterr().out.splitlines()
    assert 'one_shot/one-shot_r18_fpn_lstm2_cncb.py' in listed
    assert not any('_base_' in name for name in listed)


@pytest.mark.parametrize(
    'argv, message',
    [
        (['no-such-config'], 'there is no config no-such-config: give'),
        (['one-shot_r18_fpn_lstm1_phantom', 'modle'], 'nothing at modle; its first keys are'),
    ],
)
def test_errors(argv, message):
    with pytest.raises(SystemExit, match=message):
        main(argv)
