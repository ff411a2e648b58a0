"""Check an installed wheel from outside the repository: its place, its configs, a model."""

import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmcovid

REPO = Path(sys.argv[1])

package = Path(mmcovid.__file__).parent
assert REPO not in package.parents, f'{package} is the clone, not the wheel'

for folder in ('configs', 'tools'):
    for path in (REPO / folder).rglob('*'):
        if path.is_file() and path.suffix != '.pyc':
            installed = package / '.mim' / path.relative_to(REPO)
            assert installed.is_file(), f'the wheel lacks {path.relative_to(REPO)}'
assert (package / '.mim' / 'model-index.yml').is_file(), 'the wheel lacks model-index.yml'

for path in (REPO / 'mmcovid/reporting/templates').iterdir():
    assert (package / path.relative_to(REPO / 'mmcovid')).is_file(), f'the wheel lacks {path.name}'

Path('mine.py').write_text(
    "_base_ = 'mmcovid::one_shot/one-shot_r18_fpn_lstm2_cncb.py'\n"
    'model = dict(backbone=dict(init_cfg=None))\n'
)
init_default_scope('mmdet')
from mmdet.registry import MODELS  # noqa: E402  after the scope

model = MODELS.build(Config.fromfile('mine.py').model)
size = sum(parameter.numel() for parameter in model.parameters())
assert size == 23_488_392, f'{size} parameters'
print(f'wheel in {package}: complete; a config elsewhere builds the ResNet-18 LSTM-2 model')
