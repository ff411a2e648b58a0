import argparse

import pytest

from mmcovid.cli.arguments import add_cfg_options, exit_on, read_cfg_options
from mmcovid.cli.runner import load_config as read_config
from mmcovid.cli.runner import set_temperature


@pytest.mark.parametrize(
    'path, head',
    [
        ('phantom/one-shot_r18_fpn_lstm2_phantom.py', 'attention_head'),
        ('phantom/classifier_r18_phantom.py', 'image_head'),
    ],
)
def test_temperature_of_the_head_that_classifies(load_config, path, head):
    config = load_config(path)
    set_temperature(config, 1.5)
    assert config.model[head].temperature == 1.5


def test_no_temperature_without_classes(load_config):
    with pytest.raises(ValueError, match='does not classify slices'):
        set_temperature(load_config('phantom/mask-rcnn_r18_fpn_phantom.py'), 1.5)


def options(config):
    return argparse.Namespace(
        config=config, local_rank=0, cfg_options=None, launcher='none', work_dir=None
    )


def test_configs_go_by_base_name():
    config = read_config(options('one-shot_r18_fpn_lstm2_phantom'))
    assert config.work_dir == 'work_dirs/one-shot_r18_fpn_lstm2_phantom'
    with pytest.raises(FileNotFoundError, match='there is no config nothing: give'):
        read_config(options('nothing'))


def test_changed_entries_are_read_as_mmengine_reads_them():
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    assert read_cfg_options(parser.parse_args([])) == {}
    args = parser.parse_args(['--cfg-options', 'a.b=1', 'c=[1,2]', 'd=x'])
    assert read_cfg_options(args) == {'a.b': 1, 'c': [1, 2], 'd': 'x'}


def test_only_named_errors_end_the_process():
    with pytest.raises(SystemExit, match='error: bad input'), exit_on(ValueError):
        raise ValueError('bad input')
    with pytest.raises(KeyError), exit_on(ValueError):
        raise KeyError('a bug')
