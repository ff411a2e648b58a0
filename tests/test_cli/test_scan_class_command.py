import json

import numpy as np
import pytest
from scan_class_utils import CLASSES, draw_scores, write_results

from mmcovid.cli import scan_class
from mmcovid.scan_class import RULES, LearnedRule, fit


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """Of a fit to scans without vectors, which tries one candidate only."""
    monkeypatch.setattr(fit, 'WEIGHT_DECAYS', (0.1,))
    monkeypatch.setattr(fit, 'STARTS', 1)
    rng, rows = np.random.default_rng(0), ['scan,patient,class,split']
    for split, number in (('train', 12), ('val', 6), ('test', 6)):
        for i in range(number):
            write_results(tmp_path / 'out' / f'{split}{i}', draw_scores(i % 3, rng))
            rows.append(f'{split}{i},{split}{i},{CLASSES[i % 3]},{split}')
    (tmp_path / 'scans.csv').write_text('\n'.join(rows))
    files = [tmp_path / name for name in ('out', 'scans.csv', 'rule.json')]
    return [str(files[0]), '--scans', str(files[1]), '--out', str(files[2]), '--rounds', '20']


def test_fits_and_tells(arguments, tmp_path, capsys):
    scan_class.main([*arguments, '--features', 'scores'])
    out = capsys.readouterr().out
    assert 'scans: train 12 of 12 patients, val 6 of 6 patients, test 6 of 6 patients' in out
    assert all(f'| `{name}` |' in out for name in (*RULES, 'learned'))
    assert 'Leaving out the 10% of the slices of most weight takes' in out
    rule = LearnedRule.load(tmp_path / 'rule.json')
    assert rule.features == 'scores' and rule.fitted['tried_on'] == 'test'
    figures = json.loads((tmp_path / 'rule.json').read_text())['fitted']['figures']
    assert set(figures['learned']['auroc']) >= {'value', 'low', 'high'}


def test_bad_input_ends_in_a_sentence(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit, match='error: .*vectors.npy: no such file. Read the scan by'):
        scan_class.main(arguments)
    assert not (tmp_path / 'rule.json').exists()
    (tmp_path / 'rule.json').write_text('mine')
    with pytest.raises(SystemExit):
        scan_class.main(arguments)
    assert 'rule.json is there already' in capsys.readouterr().err
    assert (tmp_path / 'rule.json').read_text() == 'mine'


def test_without_pytorch_it_says_what_to_install(arguments, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'mmcovid.scan_class.fit', None)
    with pytest.raises(SystemExit, match='to mend it, run: pip install torch'):
        scan_class.main(arguments)
