import pytest
from tools_utils import load_tool

decision_check = load_tool('analysis_tools/decision_check')


def test_estimates_are_near_the_truth(capsys):
    args = decision_check.parse_args(['--sets', '8', '--rounds', '40'])
    found = decision_check.simulate(args)
    for key in ('normal, share by counts', 'normal, share by EM', 'normal, coverage of its sets'):
        assert found[key][:, 1].mean() == pytest.approx(0.9, abs=0.07), key
    # what is predicted is pulled towards the shares of the validation set
    predicted, counted = (
        found[f'normal, share {how}'][:, 1].mean() for how in ('that is predicted', 'by counts')
    )
    assert predicted < counted - 0.02
    decision_check.main(['--sets', '2', '--rounds', '20', '--patients', '40'])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(found) and len({line.count('|') for line in lines}) == 1
