import numpy as np

from mmcovid.classes import Classes
from mmcovid.scans.label_maps import class_mask, paint


def test_higher_classes_are_above():
    masks = np.zeros((4, 2, 3), bool)
    masks[0, :, :2] = masks[1, 0] = masks[2, :, 0] = masks[3] = True
    assert paint(masks, [2, 1, 0, 0], Classes.of()).tolist() == [[3, 3, 2], [3, 3, 1]]
    assert paint(masks[:0], [], Classes.of()).tolist() == [[0] * 3] * 2


def test_the_lung_is_below_whatever_its_label():
    masks = np.ones((2, 1, 2), bool)
    masks[0, 0, 0] = False
    classes = Classes.of(('ggo', 'Lunge'), roles=dict(Lunge='lung'))
    assert paint(masks, [0, 1], classes).tolist() == [[2, 1]]


def test_mask_of_the_lung_has_the_lesions():
    classes = Classes.of(('ggo', 'Lunge'), roles=dict(Lunge='lung'))
    labels = np.array([[0, 1, 2]], np.uint8)
    assert class_mask(labels, 'Lunge', classes).tolist() == [[False, True, True]]
    assert class_mask(labels, 'ggo', classes).tolist() == [[False, True, False]]
