import csv
import multiprocessing
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcovid.results import Failure
from mmcovid.scans.summary import append_lines, failed_line, settle
from mmcovid.utils.escape import cell

LENGTH_CSV_READS_BY_DEFAULT = 131_072


def read(out):
    csv.field_size_limit(10 * LENGTH_CSV_READS_BY_DEFAULT)
    with open(out / 'summary.csv', newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def good_line(name, **values):
    return dict(scan=name, status='ok', input=f'{name}.nii', slices=3, **values, reason='')


def _report_forty(out, who):
    for i in range(40):
        append_lines(out, [failed_line('', Failure(f'{who}-{i}', 'broken'))])
    settle(out)


def test_two_runs_into_one_folder_lose_no_line(tmp_path):
    context = multiprocessing.get_context('fork')
    runs = [context.Process(target=_report_forty, args=(tmp_path, who)) for who in 'ab']
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0]
    inputs = [line['input'] for line in read(tmp_path)]
    assert inputs == sorted(f'{who}-{i}' for who in 'ab' for i in range(40))


def test_a_long_reason_does_not_stop_later_runs(tmp_path):
    reason = 'x' * LENGTH_CSV_READS_BY_DEFAULT + ' is broken'
    append_lines(tmp_path, [failed_line('long', Failure('a', reason))])
    settle(tmp_path)
    append_lines(tmp_path, [failed_line('short', Failure('b', 'broken'))])
    settle(tmp_path)
    assert [line['reason'] for line in read(tmp_path)] == [reason, 'broken']


def test_tables_that_others_have_edited(tmp_path):
    append_lines(tmp_path, [failed_line('a', Failure('a.nii', 'broken'))])
    with open(tmp_path / 'summary.csv', 'ab') as file:
        file.write(b'b,failed,b.nii,one,two,\xff\nc,ok\n')
    append_lines(tmp_path, [good_line('d', score=0.5)])
    settle(tmp_path)
    lines = [(line['scan'], line['reason']) for line in read(tmp_path)]
    assert lines == [('a', 'broken'), ('b', 'one two \\xff'), ('c', ''), ('d', '')]


@pytest.mark.parametrize(
    'content', ['name,class\na,0\n', '\n0scan,status\n', '"a\rb",c\n', 'a' * 200_000 + '\n']
)
def test_another_file_of_that_name_is_left_as_it_is(tmp_path, content):
    (tmp_path / 'summary.csv').write_text(content)
    with pytest.raises(ValueError, match=r'summary\.csv: is no table'):
        append_lines(tmp_path, [failed_line('a', Failure('a.nii', 'broken'))])
    with pytest.raises(ValueError, match=r'summary\.csv: is no table'):
        settle(tmp_path)
    assert (tmp_path / 'summary.csv').read_bytes() == content.encode()


def test_the_table_is_written_anew_only_for_a_new_column(tmp_path):
    append_lines(tmp_path, [failed_line('a', Failure('a.nii', 'broken'))])
    with open(tmp_path / 'summary.csv') as first:
        append_lines(tmp_path, [failed_line('b', Failure('b.nii', 'broken'))])
        assert len(first.readlines()) == 3  # a file that was replaced would have 2
        append_lines(tmp_path, [good_line('c', score=0.5)])
        assert not first.readlines()
    table = (tmp_path / 'summary.csv').read_text().splitlines()
    assert table[0] == 'scan,status,input,slices,score,reason'
    assert table[1:] == ['a,failed,a.nii,,,broken', 'b,failed,b.nii,,,broken', 'c,ok,c.nii,3,0.5,']
    append_lines(tmp_path, [failed_line('d', Failure('d.nii', 'broken'))])
    assert read(tmp_path)[-1]['reason'] == 'broken'


def test_a_torn_line_is_cut_off_and_no_other(tmp_path):
    append_lines(tmp_path, [good_line(name) for name in 'ab'])
    whole = (tmp_path / 'summary.csv').read_bytes()
    torn = b'c,ok,c.nii,3,"1000'
    for mend in (lambda: settle(tmp_path), lambda: append_lines(tmp_path, [good_line('d')])):
        (tmp_path / 'summary.csv').write_bytes(whole + torn)
        mend()
        scans = [line['scan'] for line in read(tmp_path)]
        assert [scan for scan in scans if scan != 'd'] == ['a', 'b']
    assert scans == ['a', 'b', 'd']
    # longer than what is searched at once
    (tmp_path / 'summary.csv').write_bytes(whole + torn * 10_000)
    settle(tmp_path)
    assert (tmp_path / 'summary.csv').read_bytes() == whole


def test_the_newest_line_of_a_scan_wins(tmp_path):
    append_lines(tmp_path, [failed_line('', Failure('gone', 'no such file')), good_line('b')])
    append_lines(tmp_path, [failed_line('a', Failure('a.nii', 'broken'))])
    append_lines(tmp_path, [good_line('a'), failed_line('b', Failure('b.nii', 'taken away'))])
    settle(tmp_path)
    told = [(line['scan'], line['status'], line['input']) for line in read(tmp_path)]
    assert told == [('a', 'ok', 'a.nii'), ('b', 'failed', 'b.nii'), ('', 'failed', 'gone')]
    # an input that is no scan, and a scan of its name
    append_lines(tmp_path, [good_line('gone')])
    settle(tmp_path)
    assert [line['scan'] for line in read(tmp_path)] == ['a', 'b', '', 'gone']


def test_a_failure_where_results_are_does_not_hide_them(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'results.json').write_text('{}')
    append_lines(tmp_path, [good_line('a')])
    append_lines(tmp_path, [failed_line('a', Failure('a.nii', 'exists already'))])
    assert [line['status'] for line in read(tmp_path)] == ['ok']


def test_no_line_makes_no_table(tmp_path):
    append_lines(tmp_path / 'new', [])
    settle(tmp_path / 'new')
    assert not (tmp_path / 'new' / 'summary.csv').exists()


NAMES = st.text('ab\n', max_size=2)
#: Anything that a file name or an error may hold, names that are no UTF-8 too.
ANY_TEXT = st.text(st.characters(blacklist_categories=()), max_size=8)
LINES = st.fixed_dictionaries(
    dict(scan=NAMES, status=st.sampled_from(['ok', 'failed']), input=NAMES, reason=ANY_TEXT),
    optional=dict(score_a=st.just('0.5'), score_b=ANY_TEXT),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(LINES, max_size=4), max_size=6), st.data())
def test_what_was_appended_is_read_again(batches, data):
    """However lines come, and wherever a process is killed: whole lines, the newest of each."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for batch in batches:
            append_lines(out, batch)
        lines = [line for batch in batches for line in batch]
        if lines:
            table = (out / 'summary.csv').read_bytes()
            ends = [i + 1 for i, byte in enumerate(table) if byte == ord('\n')]
            assert len(ends) == 1 + len(lines)
            cut = data.draw(st.integers(ends[0], len(table)))
            (out / 'summary.csv').write_bytes(table[:cut])
            lines = lines[: sum(end <= cut for end in ends) - 1]
        settle(out)
        plain = [{key: as_stored(value) for key, value in line.items()} for line in lines]
        expected = {}
        for i, line in enumerate(plain):
            again = any(line['input'] == other['input'] for other in plain[i + 1 :])
            if line['status'] != 'failed' or not again:
                expected[line['scan'], line['scan'] or line['input']] = line
        found = read(out) if (out / 'summary.csv').exists() else []
        names = [line['scan'] or line['input'] for line in found]
        assert names == sorted(names)
        assert len(found) == len(expected)
        assert set(map(as_told, found)) == set(map(as_told, expected.values()))


def as_told(line):
    """Cells that are not empty."""
    return frozenset((column, cell) for column, cell in line.items() if cell)


def as_stored(text):
    for character in '\r\n\0':
        text = text.replace(character, ' ')
    return cell(text.encode(errors='backslashreplace').decode())


@pytest.mark.parametrize('number', [0, 3])
def test_order_of_columns(tmp_path, number):
    for i in range(number):
        append_lines(tmp_path, [failed_line(str(i), Failure(str(i), 'broken'))])
    append_lines(tmp_path, [good_line('z', score_b=1, score_a=2)])
    settle(tmp_path)
    assert (tmp_path / 'summary.csv').read_text().splitlines()[0] == (
        'scan,status,input,slices,score_b,score_a,reason'
    )
