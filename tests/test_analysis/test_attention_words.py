from mmcovid.analysis.attention.words import group_title, set_title
from mmcovid.classes import DEFAULT, Classes


def test_words_of_sets_and_groups():
    assert group_title('wrongly covid19', DEFAULT) == 'wrongly COVID-19'
    assert group_title('all slices', DEFAULT) == 'all slices'
    assert group_title('true a b', Classes.of(images=['a b'])) == 'true a b'
    assert (set_title('seg'), set_title('other')) == ('lesion set', 'other')
