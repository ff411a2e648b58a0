import threading

import pytest

from mmcovid.utils.ahead import ahead


def test_items_come_in_their_order():
    assert list(ahead(range(10))) == list(range(10))
    assert list(ahead([])) == []
    assert list(ahead([None, 1], 5)) == [None, 1]


def test_the_next_items_are_made_while_one_is_used():
    made = []
    second, third = threading.Event(), threading.Event()

    def make():
        for i, event in enumerate([threading.Event(), second, third, threading.Event()]):
            made.append(i)
            event.set()
            yield i

    items = ahead(make(), 2)
    assert next(items) == 0
    assert second.wait(10) and third.wait(10)  # two are made ahead
    assert made == [0, 1, 2]
    assert list(items) == [1, 2, 3]


def test_an_error_comes_where_it_came_up():
    def make():
        yield 1
        raise OSError('broken')

    items = ahead(make(), 3)
    assert next(items) == 1
    with pytest.raises(OSError, match='broken'):
        next(items)


def test_a_loop_may_end_early():
    threads = threading.active_count()
    items = ahead(iter(int, 1))  # without an end
    next(items)
    items.close()
    assert threading.active_count() == threads
