import pytest

from mmcovid.utils.budget import MIB, SLICE_PIXELS, BudgetError, check_size, read_budget, set_budget


@pytest.fixture(autouse=True)
def defaults(monkeypatch):
    for variable in (SLICE_PIXELS, MIB):
        monkeypatch.setenv(variable, '1')  # so that it is as before afterwards
        monkeypatch.delenv(variable)


@pytest.mark.parametrize(
    'size',
    [
        dict(height=4096, width=4096),
        dict(height=512, width=512, slices=1200),
        dict(height=512, width=512, slices=300, itemsize=8),
        dict(height=1, width=1),
    ],
)
def test_what_scanners_give_is_within_the_budget(size):
    check_size('a', **size)


@pytest.mark.parametrize(
    'size, said',
    [
        (dict(height=4097, width=4096), '--max-slice-pixels, or MMCOVID_MAX_SLICE_PIXELS'),
        (dict(height=512, width=512, slices=1201), '601 MiB, above the limit of 600'),
        # a byte of the file is kept in two
        (dict(height=512, width=512, slices=1201, itemsize=1), '--max-mib, or MMCOVID_MAX_MIB'),
        (dict(height=512, width=512, slices=301, itemsize=8), '602 MiB'),
    ],
)
def test_more_is_refused_in_one_line(size, said):
    with pytest.raises(BudgetError, match='^a: ') as caught:
        check_size('a', **size)
    assert said in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('size', [(0, 5, 1), (5, 0, 1), (5, 5, 0), (-1, -1, 1)])
def test_nothing_is_no_slice(size):
    with pytest.raises(ValueError, match='a: is empty'):
        check_size('a', *size)


def test_limits_are_raised_by_the_environment():
    set_budget(mib=601)
    assert read_budget() == (4096 * 4096, 601)
    check_size('a', 512, 512, 1201)


@pytest.mark.parametrize('text', ['', '0', '-1', 'much', '1.5'])
def test_limits_that_are_no_numbers(monkeypatch, text):
    monkeypatch.setenv(MIB, text)
    with pytest.raises(ValueError, match=f'{MIB}={text}: give a whole number above 0'):
        read_budget()
