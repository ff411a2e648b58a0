import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mmcovid.utils.files import atomic_folder, atomic_path, name_some, read_table, write_json


def test_tensors_arrays_and_undefined_figures(tmp_path):
    path = tmp_path / 'new' / 'results.json'
    write_json(
        {
            'a': torch.tensor([1, 2]),
            'b': np.float32(0.5),
            'c': (math.nan, math.inf),
            'd': Path('x'),
            5: np.arange(2),
        },
        path,
    )
    assert json.loads(path.read_text()) == {
        'a': [1, 2],
        'b': 0.5,
        'c': [None, None],
        'd': 'x',
        '5': [0, 1],
    }


def test_a_failed_write_leaves_the_former_file_and_nothing_else(tmp_path):
    path = tmp_path / 'results.json'
    write_json({'a': 1}, path)
    with pytest.raises(TypeError):
        write_json({'a': object()}, path)
    assert json.loads(path.read_text()) == {'a': 1}
    assert list(tmp_path.iterdir()) == [path]


def test_file_appears_whole(tmp_path):
    path = tmp_path / 'new' / 'a.png'
    with atomic_path(path) as temporary:
        assert temporary.endswith('.png')
        with open(temporary, 'w') as file:
            file.write('whole')
        assert not path.exists()
    assert path.read_text() == 'whole'
    assert list(path.parent.iterdir()) == [path]


def test_former_file_survives_a_failure(tmp_path):
    path = tmp_path / 'a.png'
    path.write_text('former')
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        with open(temporary, 'w') as file:
            file.write('half')
        raise ZeroDivisionError
    assert path.read_text() == 'former'
    assert list(tmp_path.iterdir()) == [path]


def test_name_some():
    assert name_some(['a', 'b']) == '2: a, b'
    assert name_some([str(number) for number in range(12)]).endswith('8, 9 and 2 more')


def test_a_folder_appears_whole_and_replaces_only_if_told(tmp_path):
    path = tmp_path / 'new' / 'scan'
    with atomic_folder(path) as folder:
        (folder / 'a.txt').write_text('1')
        assert not path.exists() and folder.parent == path.parent
    assert (path / 'a.txt').read_text() == '1'
    with pytest.raises(FileExistsError, match='scan: exists already'), atomic_folder(path):
        pass
    with pytest.raises(RuntimeError), atomic_folder(path, overwrite=True) as folder:
        (folder / 'a.txt').write_text('half')
        raise RuntimeError
    assert (path / 'a.txt').read_text() == '1'
    with atomic_folder(path, overwrite=True) as folder:
        (folder / 'b.txt').write_text('2')
    assert [each.name for each in path.iterdir()] == ['b.txt']
    assert [each.name for each in path.parent.iterdir()] == ['scan']
    workplace = tmp_path / 'workplace'
    with atomic_folder(path, overwrite=True, workplace=workplace) as folder:
        (folder / 'c.txt').write_text('3')
        assert folder.parent == workplace
    assert [each.name for each in path.iterdir()] == ['c.txt']
    assert not list(workplace.iterdir())


def test_tables_are_read_as_a_spreadsheet_writes_them(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text(
        '\ufeffscan,patient\r\na,"p\r\n1"\r\nb\r\nc,d,e\r\n', encoding='utf-8', newline=''
    )
    columns, rows = read_table(path)
    assert columns == ['scan', 'patient']
    assert rows == [
        (3, dict(scan='a', patient='p\r\n1')),
        (4, dict(scan='b', patient=None)),
        (5, {'scan': 'c', 'patient': 'd', None: ['e']}),
    ]
    path.write_text('')
    assert read_table(path) == ([], [])


@pytest.mark.parametrize('content', [b'a\n\xff', b'a\n"b'])
def test_other_files_are_no_tables(tmp_path, content):
    (tmp_path / 'a.csv').write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.csv: is no list in UTF-8 \(.*\)\. Save it as one\.'):
        read_table(tmp_path / 'a.csv', 'list')
