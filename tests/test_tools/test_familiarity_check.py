"""How slices are altered to be unlike the training data."""

import numpy as np
from ct_utils import chest
from tools_utils import load_tool

from mmcovid.ct import find_lungs

check = load_tool('analysis_tools/familiarity_check')


def test_no_lung_is_left_and_the_air_around_stays():
    hu = chest(1, 64)[0]
    filled = check.without_lungs(hu)
    assert find_lungs(hu).any() and not find_lungs(filled).any()
    assert filled[0, 0] == hu[0, 0] < -900
    assert (filled[hu > -200] == hu[hu > -200]).all()


def test_all_alterations_change_the_slice():
    grey = check.window(chest(1, 64)[0], (-600, 1500))
    sets = check.altered([grey], np.random.default_rng(0))
    for name, (changed, *_) in sets.items():
        assert changed.shape != grey.shape or not np.array_equal(changed, grey), name
        assert changed.min() >= 0 and changed.max() <= 255, name
    assert sets['cropped to 50 %'][0].tolist() == grey[16:48, 16:48].tolist()
