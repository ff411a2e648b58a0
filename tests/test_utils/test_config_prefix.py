"""A config outside the repository inherits one of ours."""

import subprocess
import sys

import pytest
from mmengine.config import Config

from mmcovid.utils import configs

NAME = 'one_shot/one-shot_r18_fpn_lstm2_cncb.py'


def test_prefix_in_a_config_elsewhere(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = 'mmcovid::{NAME}'\nmodel = dict(note='mine')\n")
    cfg = Config.fromfile(path)
    ours = Config.fromfile(configs.config_path(NAME))
    assert cfg.model.pop('note') == 'mine'
    assert cfg.to_dict() == ours.to_dict()
    # Types without a prefix have to be looked up as in the repository's own configs.
    assert '_scope_' not in cfg.pretty_text


def test_prefix_in_a_list_beside_a_local_file(tmp_path):
    (tmp_path / 'local.py').write_text('answer = 42\n')
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = ['mmcovid::{NAME}', 'local.py']\n")
    cfg = Config.fromfile(path)
    assert cfg.answer == 42
    assert cfg.model.type == 'mmcovid.OneShotRCNN'


def test_a_process_that_did_not_import_mmcovid(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = __import__('mmcovid').config_path('{NAME}')\n")
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            "from mmengine.config import Config\nprint(Config.fromfile('mine.py').model.type)",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == 'mmcovid.OneShotRCNN', done.stderr


def test_unknown_config_names_those_there_are(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'mmcovid::one_shot/nothing.py'\n")
    with pytest.raises(FileNotFoundError, match=f'one_shot/nothing.py.*{NAME}'):
        Config.fromfile(path)


def test_base_name_is_enough():
    by_path = configs.config_path(NAME)
    assert configs.config_path('one-shot_r18_fpn_lstm2_cncb') == by_path
    assert configs.config_path('one-shot_r18_fpn_lstm2_cncb.py') == by_path


def test_a_wheel_keeps_its_configs_in_mim(tmp_path, monkeypatch):
    package = tmp_path / 'site-packages' / 'mmcovid'
    monkeypatch.setattr(configs, '_PACKAGE', package)
    with pytest.raises(FileNotFoundError, match='reinstall'):
        configs.config_root()
    wheel = package / '.mim' / 'configs'
    (wheel / 'one_shot').mkdir(parents=True)
    assert configs.config_root() == wheel


def test_registering_twice_changes_nothing():
    before = Config._get_cfg_path
    configs.register_config_prefix()
    assert Config._get_cfg_path is before
