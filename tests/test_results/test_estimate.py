from mmcovid.results import Estimate


def test_format_is_that_of_all_its_numbers():
    assert f'{Estimate(0.5, 0.25, 0.75):+.3f}' == '+0.500 (+0.250 to +0.750)'
    assert f'{Estimate(0.5, float("nan"), float("nan")):.1f}' == '0.5'
