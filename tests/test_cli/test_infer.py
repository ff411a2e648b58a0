import importlib
import json
import os
import re
import shutil
from configparser import ConfigParser

import pytest
import SimpleITK as sitk
import torch
from ct_utils import chest
from scans_utils import small_config, small_inferencer

from mmcovid.cli import infer as cli
from mmcovid.cli import run_infer
from mmcovid.utils.files import sha256


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Config, weights and a volume."""
    path = tmp_path_factory.mktemp('cli')
    small_config().dump(path / 'small.py')
    weights = small_inferencer().model.state_dict()
    torch.save(dict(state_dict=weights, meta={}), path / 'weights.pth')
    sitk.WriteImage(sitk.GetImageFromArray(chest(2, 48)), str(path / 'scan.nii.gz'))
    (path / 'temperature.json').write_text(json.dumps(dict(lstm2=[dict(temperature=1.5)])))
    return path


def options(folder, **changes):
    given = dict(config=folder / 'small.py', weights=folder / 'weights.pth', device='cpu') | changes
    return [part for key, value in given.items() for part in (f'--{key}', str(value))]


@pytest.mark.filterwarnings('ignore')
def test_command(folder, capsys):
    out = folder / 'out'
    argv = [
        str(folder / 'scan.nii.gz'),
        '--out',
        str(out),
        '--temperature',
        str(folder / 'temperature.json'),
        '--region',
        'all',
        '--aggregate',
        'max',
        '--least-lesion-ml',
        '0.5',
    ]
    cli.main([*argv, *options(folder)])
    results = json.loads((out / 'scan' / 'results.json').read_text())
    assert results['settings']['temperature'] == 1.5
    assert results['settings']['aggregate'] == 'max'
    assert results['settings']['least_lesion_ml'] == 0.5
    assert results['model']['name'] == 'small'
    assert results['model']['weights_sha256'] == sha256(folder / 'weights.pth')
    printed = capsys.readouterr().out
    assert 'scan: ' in printed and '1 of 1 scans are complete' in printed
    with pytest.raises(SystemExit) as ended:
        cli.main([*argv, *options(folder)])
    assert ended.value.code == 1
    assert 'scan: FAILED' in capsys.readouterr().out


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(
    'extra, message',
    [
        (['--temperature', '0'], 'above 0'),
        (['--abstain-below', '2'], 'at most 1'),
        (['--temperature', 'absent.json'], 'neither a number nor a file'),
    ],
)
def test_wrong_options_are_told_before_anything_runs(folder, tmp_path, extra, message):
    with pytest.raises(SystemExit, match=message):
        cli.main(['x.png', '--out', str(tmp_path / 'out'), *options(folder), *extra])
    assert not (tmp_path / 'out').exists()


def test_missing_weights(folder, capsys):
    with pytest.raises(SystemExit):
        cli.parse_args(['x.png', '--out', 'out', '--weights', 'absent.pth'])
    assert 'there is no checkpoint absent.pth' in capsys.readouterr().err


def test_store_sends_all_outputs_unless_some_are_named(folder):
    def asked(*argv):
        args = cli.parse_args([*argv, '--out', 'out', '--weights', str(folder / 'weights.pth')])
        return args.dicom_seg, args.dicom_sr, args.dicom_sc

    address = 'dicomweb://host/studies/1.2'
    assert asked(address) == (False, False, False)
    assert asked(address, '--store') == (True, True, True)
    assert asked(address, '--store', '--dicom-sr') == (False, True, False)


def test_store_needs_an_archive_and_addresses_no_secrets(folder, capsys):
    argv = ['--out', 'out', '--weights', str(folder / 'weights.pth'), '--store']
    with pytest.raises(SystemExit):
        cli.parse_args(['series/', 'dicomweb://host/studies/1.2', *argv])
    assert '--store needs inputs of an archive' in capsys.readouterr().err
    with pytest.raises(SystemExit, match='netrc') as ended:
        cli.main(['dicomweb://me:s3cret@host/studies/1.2', *argv])
    assert 's3cret' not in str(ended.value)


def test_a_least_volume_below_0(folder, capsys):
    with pytest.raises(SystemExit):
        cli.parse_args(['x.png', '--out', 'out', *options(folder), '--least-lesion-ml', '-1'])
    assert '--least-lesion-ml must be at least 0' in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
def test_workers_here_and_elsewhere(folder, tmp_path, capsys, monkeypatch):
    cohort = pytest.importorskip('mmcovid.scans.cohort')
    names = ('one', 'two')
    for name in names:
        shutil.copy(folder / 'scan.nii.gz', tmp_path / f'{name}.nii.gz')
    shutil.copy(folder / 'small.py', tmp_path)
    monkeypatch.chdir(tmp_path)
    argv = [*(str(tmp_path / f'{name}.nii.gz') for name in names)]
    argv += options(folder, config='small.py')
    cli.main([*argv, '--out', 'alone'])
    cli.main([*argv, '--out', 'out', '--workers', '2'])
    first, second = (
        [line.split(',')[:4] for line in (tmp_path / out / 'summary.csv').open()]
        for out in ('alone', 'out')
    )
    assert first == second and len(first) == 3
    shutil.rmtree(tmp_path / 'out' / 'two')
    capsys.readouterr()
    with cohort.start_workers(1) as client:
        client.run(os.chdir, '/')
        address = client.scheduler.address
        cli.main([*argv, '--out', 'out', '--resume', '--scheduler', address])
    printed = capsys.readouterr().out
    assert '2 of 2 scans are complete, 1 of them already before; all in' in printed
    assert 'two: ' in printed and 'one: ' not in printed
    for name in names:
        first, second = (tmp_path / out / name / 'labels.nii.gz' for out in ('alone', 'out'))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    'extra, message',
    [
        (['--workers', '0'], '--workers must be at least 1'),
        (['--workers', '2', '--scheduler', 'tcp://host:8786'], 'not allowed with'),
    ],
)
def test_wrong_workers(folder, capsys, extra, message):
    with pytest.raises(SystemExit):
        cli.parse_args(['x.png', '--out', 'out', *options(folder), *extra])
    assert message in capsys.readouterr().err


def test_entry_point(repo):
    setup = ConfigParser()
    setup.read(repo / 'setup.cfg')
    scripts = setup['options.entry_points']['console_scripts'].strip().splitlines()
    targets = dict(re.split(' *= *', script) for script in scripts)
    assert set(targets) == {'mmcovid', 'mmcovid-infer'}
    for target in targets.values():
        module, function = target.split(':')
        assert callable(getattr(importlib.import_module(module), function))


def test_its_own_name(monkeypatch):
    seen = []
    monkeypatch.setattr(cli, 'main', seen.append)
    run_infer(['scan.nii.gz', '--out', 'out'])
    assert seen == [['scan.nii.gz', '--out', 'out']]


@pytest.mark.filterwarnings('ignore')
def test_decision_rules(folder, capsys):
    """They are in JSON, table and page; those of another rule are refused before a scan is read."""
    names = small_inferencer().classes.image_names
    rules = dict(
        temperature=1.5,
        aggregate='max',
        unit_temperature=1,
        prior={name: 1 / len(names) for name in names},
        set_coverage=0.8,
        set_thresholds=dict.fromkeys(names, 0),
    )
    (folder / 'decision_rules.json').write_text(json.dumps(dict(m=rules)))
    prevalence = ','.join([f'{names[0]}=1', *(f'{name}=0' for name in names[1:])])
    given = ['--decision-rules', str(folder / 'decision_rules.json'), '--prevalence', prevalence]
    out = folder / 'decided'
    scan = [str(folder / 'scan.nii.gz'), '--out', str(out), '--region', 'all', *options(folder)]
    with pytest.raises(SystemExit, match='Give --aggregate max, or report again'):
        cli.main([*scan, *given, '--aggregate', 'mean'])
    assert not out.exists()
    cli.main([*scan, *given, '--aggregate', 'max'])
    results = json.loads((out / 'scan/results.json').read_text())
    assert results['settings']['temperature'] == 1.5
    assert results['settings']['prevalence'][names[0]] == 1
    assert results['classification']['prediction_set'] == list(names)
    assert results['classification']['scores'][names[0]] == 1
    page = (out / 'scan/report.html').read_text()
    assert '80% of each class have it in their set' in page and 'Corrected for' in page
    assert ' '.join(names) in (out / 'summary.csv').read_text()
    for wrong in (given[2:], [*given, '--temperature', '2']):
        with pytest.raises(SystemExit):
            cli.main([*scan, *wrong])
    assert 'leave out --temperature' in capsys.readouterr().err
