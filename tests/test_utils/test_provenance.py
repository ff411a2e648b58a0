import hashlib
import json
import subprocess
import sys

from mmengine.config import Config

from mmcovid.utils.configs import config_path
from mmcovid.utils.files import sha256
from mmcovid.utils.provenance import config_hash, software

CONFIG = 'one-shot_r18_fpn_lstm2_phantom'


def test_hash_of_a_config_is_of_what_it_says_not_of_the_run():
    cfg = Config.fromfile(config_path(CONFIG))
    own = config_hash(cfg)
    cfg.merge_from_dict(dict(work_dir='elsewhere', load_from='x.pth', resume=True))
    cfg.launcher = 'pytorch'
    assert config_hash(cfg) == own
    cfg.merge_from_dict({'model.roi_head.roi_sequence.num_rois': 5})
    assert config_hash(cfg) != own


def test_hash_of_a_config_is_the_same_in_another_process():
    code = (
        'import mmcovid; from mmengine.config import Config; '
        'from mmcovid.utils.provenance import config_hash; '
        f'print(config_hash(Config.fromfile({config_path(CONFIG)!r})))'
    )
    other = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == config_hash(Config.fromfile(config_path(CONFIG)))


def test_hash_of_a_file_longer_than_a_block(tmp_path):
    data = bytes(range(256)) * 5000
    (tmp_path / 'file').write_bytes(data)
    assert sha256(tmp_path / 'file') == hashlib.sha256(data).hexdigest()


def test_software_lists_what_is_installed():
    found = software(['numpy', 'no-such-package'])
    assert set(found) == {'mmcovid', 'Python', 'numpy'}
    json.dumps(found)
