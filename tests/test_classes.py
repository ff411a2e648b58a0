import pytest

from mmcovid.classes import DEFAULT, IMAGE_CLASSES, LESION_CLASSES, Classes, with_palette


def test_the_paper():
    assert DEFAULT.lesion_names == LESION_CLASSES == ('lung', 'ggo', 'consolidation')
    assert DEFAULT.image_names == IMAGE_CLASSES == ('normal', 'cp', 'covid19')
    assert DEFAULT.lung == 'lung' and DEFAULT.normal == 'normal'
    assert [DEFAULT.is_lung(label) for label in range(4)] == [True, False, False, False]
    assert DEFAULT.display('covid19') == 'COVID-19' and DEFAULT.display('other') == 'other'


def test_colours_go_with_names_not_with_labels():
    two = Classes.of(('ggo', 'consolidation'))
    assert two.palette == DEFAULT.palette[1:]
    assert two.lung is None and not two.is_lung(0)
    unknown = Classes.of(('a', 'b'))
    assert len(set(unknown.palette)) == 2


@pytest.mark.parametrize(
    'classes',
    [
        DEFAULT,
        Classes.of(('lesion',)),
        Classes.of((), ('a', 'b')),
        Classes.of(
            ('left lung', 'nodule'),
            ('healthy', 'ill'),
            [(1, 2, 3), (4, 5, 6)],
            {'nodule': 'Nodule'},
            {'left lung': 'lung', 'healthy': 'normal'},
        ),
    ],
)
def test_metainfo_and_back(classes):
    assert Classes.from_meta(classes.to_meta()) == classes


def test_roles_need_no_usual_names():
    classes = Classes.of(
        ('left lung', 'nodule'),
        ('healthy', 'ill'),
        roles={'left lung': 'lung', 'healthy': 'normal'},
    )
    assert classes.lung == 'left lung' and classes.normal == 'healthy' and classes.is_lung(0)


def test_metainfo_of_a_set():
    assert Classes.from_meta(None) == DEFAULT
    assert Classes.from_meta(dict(classes=('lesion',), palette='random')).lesion_names == (
        'lesion',
    )
    # too few colours are none
    assert Classes.from_meta(dict(classes=('a', 'b'), palette=[(1, 1, 1)])).palette != [(1, 1, 1)]


def test_metainfo_gets_the_colours_of_its_classes():
    assert with_palette(dict(classes=('ggo',)))['palette'] == [DEFAULT.palette[1]]
    assert with_palette(dict(classes=('ggo',), palette=[(1, 2, 3)]))['palette'] == [(1, 2, 3)]
    assert with_palette(None) == {}


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(lesions=('a', 'a')), 'a name occurs twice'),
        (dict(roles={'lung': 'heart'}), "role 'heart' of a class is none of lung, lesion"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        Classes.of(**options)
