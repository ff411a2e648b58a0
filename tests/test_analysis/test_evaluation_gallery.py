import base64

import cv2
import numpy as np
import pytest
from ct_utils import chest, write_series
from predictions_utils import SIZE, box_mask

from mmcovid.analysis.evaluation.gallery import (
    SIDE,
    Gallery,
    draw_class_errors,
    draw_lesion_errors,
    read_thumbnail,
)
from mmcovid.classes import Classes
from mmcovid.results.evaluation import ClassError, LesionError

GREY = 100


@pytest.fixture
def root(tmp_path):
    """A folder with a grey slice."""
    cv2.imwrite(str(tmp_path / 'slice.png'), np.full((SIZE, SIZE), GREY, np.uint8))
    return tmp_path


def test_pictures_are_in_the_order_of_the_errors(root):
    errors = [ClassError(path, path, 0, 1, 0.9, 0.1) for path in ('none.png', 'slice.png', '')]
    pictures = draw_class_errors(errors, root)
    assert [uri is None for uri in pictures] == [True, False, True]
    assert pictures[1].startswith('data:image/jpeg;base64,')
    assert Gallery(dict(m=pictures), dict(m=[None], n=[])).unread == 3


def test_thumbnails_of_dicom_and_of_slices_of_volumes(tmp_path):
    series = tmp_path / 'series'
    write_series(series, chest())
    for path in (f'{series}#001', next(series.iterdir())):
        image = read_thumbnail(path)
        assert image.dtype == np.uint8 and max(image.shape[:2]) == SIDE and image.shape[2] == 3
        assert np.ptp(image) > 0
    assert read_thumbnail(f'{series}#999') is None
    (tmp_path / 'broken.png').write_bytes(b'PNG')
    assert read_thumbnail(tmp_path / 'broken.png') is None
    assert read_thumbnail('') is None


def draw(root, classes, true=(), found=()):
    """Truth and prediction of a slice with boxes of 10 x 10 pixels, given as (label, x, y)."""
    entry = dict(
        img_id='a',
        instances=[dict(bbox_label=label, mask=box_mask(x, y, 10, 10)) for label, x, y in true],
        pred_instances=dict(
            labels=[label for label, *_ in found],
            scores=[0.9] * len(found),
            masks=[box_mask(x, y, 10, 10) for _, x, y in found],
        ),
    )
    error = LesionError('a', 'slice.png', {})
    uri, unread = draw_lesion_errors(
        [error, LesionError('a', 'none.png', {})], [entry], classes, 0.3, root
    )
    assert unread is None
    data = base64.b64decode(uri.partition(',')[2])
    return np.split(cv2.imdecode(np.frombuffer(data, np.uint8), 1)[:, :, ::-1], [SIDE + 2], axis=1)


def tinted(panel, color):
    """Share of the pixels that are tinted in a colour."""
    tint = GREY * 0.65 + np.array(color) * 0.35
    return (np.abs(panel - tint).max(axis=2) < 12).mean()


BOX = pytest.approx(100 / SIZE**2, rel=0.25)


def test_truth_is_beside_prediction(root):
    classes = Classes.of()
    left, right = draw(root, classes, true=[(1, 5, 5)])
    assert tinted(left, classes.palette[1]) == BOX and tinted(right, classes.palette[1]) == 0
    left, right = draw(root, classes, found=[(2, 5, 5)])
    assert tinted(left, classes.palette[2]) == 0 and tinted(right, classes.palette[2]) == BOX


@pytest.mark.parametrize(
    'classes, lung',
    [
        (Classes.of(), 0),
        (Classes.of(lesions=('ggo', 'lung', 'consolidation')), 1),
        (Classes.of(lesions=('chest', 'ggo'), roles=dict(chest='lung')), 0),
        (Classes.of(lesions=('ggo', 'consolidation')), None),
        (Classes.of(lesions=('ggo', 'consolidation'), palette=[(0, 200, 0), (0, 0, 250)]), None),
    ],
    ids=['as usual', 'other order', 'other name', 'no lung', 'own colours'],
)
def test_only_the_lung_is_outlined_and_colours_are_those_of_the_classes(root, classes, lung):
    for label, color in enumerate(classes.palette):
        left, _ = draw(root, classes, true=[(label, 5, 5)])
        changed = np.abs(left.astype(int) - GREY).max(axis=2) > 12
        assert changed[20:80, 20:80].any()  # its outline, of 5 by 5 pixels on, enlarged five times
        inside = slice(40, 60)
        assert changed[inside, inside].all() == (label != lung), label
        assert (tinted(left[inside, inside], color) == 1) == (label != lung), label


def test_lesions_are_drawn_over_the_lung_whatever_their_labels(root):
    classes = Classes.of(lesions=('ggo', 'lung'), palette=[(255, 0, 0), (0, 0, 255)])
    lesion_alone, _ = draw(root, classes, true=[(0, 5, 5)])
    for true in ([(1, 5, 5), (0, 5, 5)], [(0, 5, 5), (1, 5, 5)]):
        both, _ = draw(root, classes, true=true)
        blue = both[..., 2].astype(int) - both[..., 0] > 40  # of the lung's outline, if it is seen
        assert not blue.any()
    assert tinted(lesion_alone, classes.palette[0]) == BOX
