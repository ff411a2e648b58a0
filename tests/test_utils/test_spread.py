from hypothesis import given
from hypothesis import strategies as st

from mmcovid.utils.spread import spread


@given(st.integers(1, 300), st.integers(1, 400))
def test_places_are_different_and_in_order(number, most):
    places = spread(number, most)
    assert len(places) == min(number, most) and places == sorted(set(places))
    assert places[0] == 0 and (most == 1 or places[-1] == number - 1)
