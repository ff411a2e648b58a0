import pytest
from predictions_utils import simulate, write_dump

from mmcovid.cli import report


def test_report_is_written(tmp_path, capsys):
    path = write_dump(tmp_path / 'lstm2.pkl', simulate(9, 2))
    report.main([str(path), '--out', str(tmp_path / 'out'), '--rounds', '50', '--gallery', '0'])
    out = capsys.readouterr().out
    assert 'lstm2, accuracy by patient: ' in out and 'report.html' in out
    assert (tmp_path / 'out/report.html').is_file()


@pytest.mark.parametrize(
    'options, message',
    [
        (['nothing.pkl'], 'nothing.pkl: no such file. Make it with mmcovid test'),
        (['{}', '--calibrate-on', '{}'], 'calibrate on a validation set with other patients'),
        (['{}', '--metadata', 'none.csv', '--subgroup', 'sex'], 'none.csv: no such metadata'),
    ],
)
def test_errors_name_file_and_remedy(tmp_path, options, message):
    path = write_dump(tmp_path / 'lstm2.pkl', simulate(9, 2))
    options = [option.format(path) for option in options]
    with pytest.raises(SystemExit, match=message):
        report.main([*options, '--out', str(tmp_path / 'out'), '--rounds', '2'])
    assert not (tmp_path / 'out').exists()


def test_wrong_arguments(capsys):
    for options in (['--metadata', 'a.csv'], ['--rounds', '0'], ['--aggregate', 'sum']):
        with pytest.raises(SystemExit):
            report.main(['a.pkl', '--out', 'out', *options])
    assert 'need each other' in capsys.readouterr().err
