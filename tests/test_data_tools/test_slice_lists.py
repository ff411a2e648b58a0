import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcovid.data_tools.slice_lists import SliceEntry, check_unique, parse_line, read_slices

CLASSES = ('normal', 'cp', 'covid19')


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('NCP_96_1328_0035.png 2 9 94 512 405', (2, '96', '1328', (9, 94, 512, 405))),
        ('NCP_96_1328_0035.png 1', (1, '96', '1328', None)),
        ('1_96_1328_0035.png', (1, '96', '1328', None)),
        ('2_pCT2179.jpg', (2, 'unknown', 'unknown', None)),
        (
            'coronacases_001-0103.png\t2 0 0 512 512\r\n',
            (2, 'coronacases_001', 'coronacases_001', (0, 0, 512, 512)),
        ),
    ],
)
def test_lines(line, expected):
    entry = parse_line(line, 'list.txt, line 1', 3)
    assert entry == SliceEntry(line.split()[0], *expected, 'list.txt, line 1')


@given(st.text(max_size=40).filter(str.strip))
def test_any_line_is_read_or_refused_clearly(line):
    try:
        entry = parse_line(line, 'list.txt, line 1', 3)
    except ValueError as error:
        assert str(error).startswith('list.txt, line 1: ')
    else:
        assert entry.name and entry.label in (0, 1, 2)


@given(
    st.lists(
        st.tuples(
            st.from_regex(r'[A-Za-z0-9_-]{1,12}\.png', fullmatch=True),
            st.integers(0, 2),
            st.one_of(st.none(), st.tuples(*[st.integers(0, 512)] * 4)),
        ),
        unique_by=lambda each: each[0],
    ),
    st.sampled_from(['\n', '\r\n', '\n\n']),
    st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory, rows, end, mark):
    file = tmp_path_factory.mktemp('lists') / 'list.txt'
    lines = [' '.join(map(str, (name, label, *(box or ())))) for name, label, box in rows]
    file.write_bytes((b'\xef\xbb\xbf' if mark else b'') + end.join([*lines, '']).encode())
    entries = read_slices(str(file), CLASSES)
    assert [(each.name, each.label, each.box) for each in entries] == rows
    check_unique(entries)


def test_repeats_are_named_with_both_places():
    entries = [SliceEntry('a.png', 0, place='x, line 1'), SliceEntry('a.png', 1, place='y, line 4')]
    with pytest.raises(ValueError, match=r'y, line 4: a\.png was already listed in x, line 1'):
        check_unique(entries)
