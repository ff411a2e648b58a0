import pytest

from mmcovid.data_tools.image_files import find_missing


@pytest.mark.parametrize('prefix', ['{}', '{}/', '{}//', '{}/./'])
def test_find_missing(tmp_path, prefix):
    (tmp_path / 'here').mkdir()
    (tmp_path / 'here' / 'a.png').touch()
    (tmp_path / 'here' / 'folder.png').mkdir()
    folder = prefix.format(tmp_path / 'here') + '/'
    names = ['b.png', 'a.png', 'folder.png', 'no/such.png']
    assert find_missing([folder + name for name in names]) == [
        folder + name for name in ('b.png', 'folder.png', 'no/such.png')
    ]


def test_find_missing_in_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / 'a.png').touch()
    monkeypatch.chdir(tmp_path)
    assert find_missing(['a.png', 'b.png']) == ['b.png']


def test_slices_of_volumes_are_there_if_the_volume_is(tmp_path):
    (tmp_path / 'scan.nrrd').touch()
    names = [f'{tmp_path}/{name}' for name in ('scan.nrrd#003', 'other.nrrd#003')]
    assert find_missing(names) == names[1:]
