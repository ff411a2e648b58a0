import pytest
from lesions_utils import write_truth

from mmcovid.cli import convert_nnunet


def test_set_is_written(tmp_path, capsys):
    labels, scans = (write_truth(tmp_path / name) for name in ('labels', 'scans'))
    (tmp_path / 'patients.csv').write_text('scan,patient\na,p\nb,p\nc,q\n')
    out = tmp_path / 'Dataset003_z'
    argv = [str(scans), '--labels', str(labels), '--out', str(out), '--folds', '2']
    convert_nnunet.main([*argv, '--patients', str(tmp_path / 'patients.csv')])
    assert '3 training, 0 test, 2 folds' in capsys.readouterr().out
    assert len(list((out / 'imagesTr').iterdir())) == 3
    with pytest.raises(SystemExit, match='Dataset003_z: exists already'):
        convert_nnunet.main(argv)
