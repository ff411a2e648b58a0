import json

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import save_checkpoint
from tools_utils import TOOLS

from mmcovid.cli import external
from mmcovid.data_tools.phantom.dataset import SplitSize, write_phantom_set

NAMES = ['Leakage', 'Predictions', 'Validation set', 'Report', 'Prevalence', 'Familiarity']


@pytest.fixture(scope='module')
def setting(tmp_path_factory):
    """Data, a config, and random weights that hold it."""
    root = tmp_path_factory.mktemp('external')
    data = root / 'phantom'
    sizes = dict(train=SplitSize(2, 2), val=SplitSize(2, 2), test=SplitSize(2, 2))
    lesions = dict.fromkeys(sizes, SplitSize(1, 1))
    write_phantom_set(data, sizes, lesions, SplitSize(1, 8), size=96, show_progress=False)
    config = Config.fromfile(TOOLS.parent / 'configs/phantom/classifier_r18_phantom.py')
    for name in ('train', 'val', 'test'):
        loader = config[f'{name}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.cls.data_root = f'{data}/'
        for pipeline in (loader.dataset.get('pipeline'), loader.dataset.cls.get('pipeline')):
            for transform in pipeline or ():
                if transform.type == 'Resize':
                    transform.scale = (64, 64)
    config.val_dataloader.dataset.seg = None
    config.dump(root / 'small.py')
    torch.manual_seed(0)
    init_default_scope('mmdet')
    model = MODELS.build(config.model)
    save_checkpoint(
        dict(meta=dict(cfg=config.pretty_text), state_dict=model.state_dict()),
        str(root / 'model.pth'),
    )
    lines = [
        (data / 'covidx_ct' / name).read_text().splitlines()
        for name in ('test_phantom.txt', 'val_phantom.txt')
    ]
    (root / 'classes.txt').write_text('\n'.join([*lines[0], lines[1][0]]) + '\n')
    return root


@pytest.fixture(autouse=True)
def no_plots(monkeypatch):
    """They have tests of their own, and take as long as all else."""
    monkeypatch.setattr('mmcovid.analysis.evaluation.write.draw_all', lambda results: {})


def run(setting, out, *options, data='classes.txt', images='phantom/covidx_ct/2A_images'):
    """Exit status, and the steps by name."""
    argv = [str(setting / 'model.pth'), str(setting / data), '--images', str(setting / images)]
    status = external.main([*argv, '--out', str(out), '--rounds', '20', *options])
    told = json.loads((out / 'external.json').read_text())
    return status, {step['name']: step for step in told['steps']}


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
def test_all_that_can_be_said_is_in_one_folder(setting, tmp_path):
    """A slice of the validation set is among those from elsewhere, by its name, too."""
    options = ['--config', str(setting / 'small.py'), '--prevalence', 'counts']
    status, steps = run(setting, tmp_path / 'out', *options)
    assert status == 0 and list(steps) == NAMES
    assert steps['Leakage']['status'] == 'look'
    assert steps['Leakage']['told'].startswith('1 slices are in the training')
    assert {step['status'] for name, step in steps.items() if name != 'Leakage'} <= {'done', 'look'}
    page = (tmp_path / 'out/index.html').read_text()
    for step in steps.values():
        assert (tmp_path / 'out' / step['link'].split('#')[0]).is_file()
        assert f'href="{step["link"]}"' in page
    report = json.loads((tmp_path / 'out/report/report.json').read_text())
    assert report['sets']['slice']['cases'] == 13 and report['stated_prevalence']
    assert 'on the validation set accuracy' in steps['Report']['told']
    familiarity = json.loads((tmp_path / 'out/familiarity.json').read_text())
    assert len(familiarity['slices']) == 13
    with pytest.raises(SystemExit):
        run(setting, tmp_path / 'out')  # is not written over


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
def test_steps_that_need_training_data_are_told_without_them(setting, tmp_path):
    """Of whole scans, by the config in the weights."""
    (scan, *_) = sorted((setting / 'phantom/scans').glob('*.nii.gz'))
    (setting / 'scans.txt').write_text(f'{scan.name} 1\n')
    status, steps = run(
        setting, tmp_path / 'out', '--volumes', data='scans.txt', images='phantom/scans'
    )
    assert status == 1
    failed = [name for name, step in steps.items() if step['status'] == 'failed']
    assert failed == ['Leakage', 'Validation set', 'Prevalence', 'Familiarity']
    for name in ('Leakage', 'Validation set', 'Familiarity'):
        assert 'give the config of the training by --config' in steps[name]['told']
    report = json.loads((tmp_path / 'out/report/report.json').read_text())
    assert report['sets']['patient']['cases'] == 1 and not report['prediction_sets']


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
def test_a_failing_step_does_not_hide_the_others(setting, tmp_path):
    (setting / 'missing.txt').write_text('nowhere.png 0\n')
    status, steps = run(
        setting, tmp_path / 'out', '--config', str(setting / 'small.py'), data='missing.txt'
    )
    assert status == 1
    assert {name: step['status'] for name, step in steps.items()} == dict.fromkeys(
        NAMES, 'failed'
    ) | {'Validation set': 'done'}
    assert 'nowhere.png' in steps['Leakage']['told']
    assert steps['Report']['told'] == 'there are no predictions to report on'
    assert 'FAILED' in (tmp_path / 'out/index.html').read_text()


@pytest.mark.parametrize(
    'argv, message',
    [
        (['none.pth', 'classes.txt'], 'there is no model none.pth'),
        (['model.pth', 'none.txt'], 'there is no set none.txt'),
        (['model.pth', 'classes.txt', '--set-coverage', '1'], '--set-coverage between 0 and 1'),
    ],
)
def test_wrong_arguments(setting, monkeypatch, capsys, argv, message):
    monkeypatch.chdir(setting)
    with pytest.raises(SystemExit):
        external.main([*argv, '--out', 'out'])
    assert message in capsys.readouterr().err
