import pytest
from lesions_utils import write_truth

from mmcovid.cli import lesions


def test_report_is_written(tmp_path, capsys):
    truth = write_truth(tmp_path / 'truth')
    (tmp_path / 'patients.csv').write_text('scan,patient\na,p\nb,p\nc,q\n')
    lesions.main(
        [f'same={truth}', '--truth', str(truth), '--out', str(tmp_path / 'out'), '--rounds', '20']
        + ['--patients', str(tmp_path / 'patients.csv')]
    )
    out = capsys.readouterr().out
    assert 'same, sensitivity, all found lesions: 1.000' in out and 'note: 2 patients' in out
    assert (tmp_path / 'out/report.html').is_file()


def test_errors_name_file_and_remedy(tmp_path):
    truth = write_truth(tmp_path / 'truth')
    with pytest.raises(SystemExit, match='has the label 3, and lesion are 1 to 1. Name all'):
        lesions.main(
            [str(truth), '--truth', str(truth), '--out', str(tmp_path / 'out')]
            + ['--classes', 'lesion']
        )
    assert not (tmp_path / 'out').exists()


def test_wrong_arguments(capsys):
    for options in (['--iou', '0'], ['--tolerance-mm', '-1'], ['--rounds', '0']):
        with pytest.raises(SystemExit):
            lesions.main(['a', '--truth', 'b', '--out', 'out', *options])
    assert '--iou must be above 0' in capsys.readouterr().err
