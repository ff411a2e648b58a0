import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import VISUALIZERS
from mmengine.structures import InstanceData

from mmcovid.drawing.side_panel import font, shorten
from mmcovid.drawing.slices import (
    at_full_depth,
    display_scale,
    merge_repeats,
    to_rgb8,
    weight_colors,
)
from mmcovid.visualization import OneShotVisualizer

META = dict(
    classes=('lung', 'ggo', 'consolidation'),
    palette=[(86, 180, 233), (255, 176, 0), (230, 50, 150)],
    image_classes=('normal', 'cp', 'covid19'),
)
CAPTION = round(1.9 * 14)  # height of the strip above a slice of 512 pixels
HEIGHT, WIDTH = 512, 512


@pytest.fixture
def visualizer():
    made = OneShotVisualizer(name='test')
    made.dataset_meta = META
    return made


@pytest.fixture
def image():
    return np.full((HEIGHT, WIDTH, 3), 40, np.uint8)


def is_color(pixel, color):
    """Whether a pixel has nearly this colour: lines are anti-aliased."""
    return np.abs(pixel.astype(int) - color).max() < 30


def box_instances(boxes, labels, scores=None, size=(HEIGHT, WIDTH)):
    instances = InstanceData()
    instances.bboxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    instances.labels = torch.tensor(labels, dtype=torch.long)
    masks = torch.zeros(len(labels), *size, dtype=torch.bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = True
    instances.masks = masks
    if scores is not None:
        instances.scores = torch.tensor(scores)
    return instances


def prediction(**metainfo):
    sample = DetDataSample(metainfo=metainfo)
    sample.pred_instances = box_instances(
        [(50, 50, 250, 450), (100, 100, 200, 200), (300, 300, 400, 400)], [0, 1, 2], [0.9, 0.8, 0.2]
    )
    sample.pred_label = torch.tensor([2])
    sample.pred_score = torch.tensor([0.1, 0.2, 0.7])
    return sample


def rois(num=4, branches=2):
    boxes = torch.tensor(
        [[10.0, 10, 60, 60], [100, 100, 200, 220], [100, 100, 200, 220], [300, 20, 400, 90]]
    )[:num]
    weights = torch.tensor([[0.1, 0.6], [0.2, 0.2], [0.3, 0.2], [0.4, 0.2]])[:num]
    return InstanceData(bboxes=boxes, attention=weights if branches == 2 else weights[:, 0])


def test_lungs_are_outlined_and_lesions_tinted(visualizer, image):
    picture = visualizer.draw('x', image, prediction())
    ct = picture[CAPTION : CAPTION + HEIGHT, :WIDTH]
    assert is_color(ct[300, 50], META['palette'][0])  # outline of the lung
    assert (ct[300, 150] == 40).all()  # lung inside
    assert is_color(ct[100, 150], META['palette'][1])  # outline of the lesion
    np.testing.assert_allclose(  # its tint
        ct[150, 150], 40 * 0.65 + 0.35 * np.array(META['palette'][1]), atol=1
    )
    assert (ct[350, 350] == 40).all()  # score under the threshold
    shown = visualizer.draw('x', image, prediction(), score_thr=0.1)
    assert (shown[CAPTION + 350, 350] != 40).any()


def test_lung_is_told_by_its_role(visualizer, image):
    labels = torch.tensor([1, 0, 0])  # the classes the other way round
    sample = prediction()
    expected = visualizer.draw('x', image, sample)[CAPTION : CAPTION + HEIGHT, :WIDTH]
    visualizer.dataset_meta = dict(
        META, classes=('ggo', 'Lunge'), palette=META['palette'][1::-1], roles=dict(Lunge='lung')
    )
    sample.pred_instances.labels = labels
    ct = visualizer.draw('x', image, sample)[CAPTION : CAPTION + HEIGHT, :WIDTH]
    assert np.array_equal(ct, expected)
    visualizer.outline_only = ('ggo',)
    ct = visualizer.draw('x', image, sample)[CAPTION : CAPTION + HEIGHT, :WIDTH]
    assert (ct[300, 150] != 40).any()  # lung inside
    assert np.array_equal(ct[150, 150], ct[300, 150])  # lesion inside, as the lung around it


def test_no_text_covers_the_slice(visualizer, image):
    sample = DetDataSample()
    sample.pred_label, sample.pred_score = torch.tensor([1]), torch.tensor([0.1, 0.7, 0.2])
    picture = visualizer.draw('a name that is much too long for the panel' * 3, image, sample)
    assert picture.shape[1] > WIDTH
    assert (picture[CAPTION : CAPTION + HEIGHT, :WIDTH] == 40).all()
    assert len(np.unique(picture[:, WIDTH:])) > 50  # the text is in the panel


def test_ground_truth_beside_the_prediction(visualizer, image):
    sample = prediction(task='seg')
    without = visualizer.draw('x', image, sample)
    sample.gt_instances = box_instances([(10, 10, 40, 40)], [2])
    sample.gt_instances.masks = BitmapMasks(
        sample.gt_instances.masks.numpy().astype(np.uint8), HEIGHT, WIDTH
    )
    both = visualizer.draw('x', image, sample)
    assert both.shape[1] > without.shape[1] + WIDTH
    assert (both[CAPTION + 25, 25] != 40).any()
    assert np.array_equal(visualizer.draw('x', image, sample, draw_gt=False), without)
    only_truth = visualizer.draw('x', image, sample, draw_pred=False)
    assert only_truth.shape == without.shape
    assert (only_truth[CAPTION + 25, 25] != 40).any()


def test_ground_truth_masks_of_another_size(visualizer, image):
    sample = DetDataSample(metainfo=dict(task='seg'))
    sample.gt_instances = box_instances([(16, 16, 48, 48)], [1], size=(64, 64))
    picture = visualizer.draw('x', image, sample)
    assert (picture[CAPTION + 256, 256] != 40).any()


def test_empty_ground_truth_is_no_annotation_on_class_labelled_slices(visualizer, image):
    sample = DetDataSample(metainfo=dict(task='cls'))
    sample.gt_instances = InstanceData()  # as packed without any annotation
    sample.gt_label = torch.tensor([0])
    one = visualizer.draw('x', image, sample)
    sample.gt_instances = box_instances([], [])
    assert np.array_equal(visualizer.draw('x', image, sample), one)


def test_true_class_is_marked_right_or_wrong(visualizer, image):
    sample = prediction()
    pictures = []
    for truth in (None, 2, 1):
        if truth is not None:
            sample.gt_label = torch.tensor([truth])
        pictures.append(visualizer.draw('x', image, sample)[:, WIDTH:])
    green, orange = (
        [int((picture.astype(int) @ weights > 60).sum()) for picture in pictures]
        for weights in ([-1, 1, 0], [1, 0, -1])
    )
    assert green[1] > green[0]
    assert orange[2] > orange[1]


@pytest.mark.parametrize('branches', [1, 2])
def test_each_branch_of_attention_has_its_own_slice(visualizer, image, branches):
    sample = prediction()
    without = visualizer.draw('x', image, sample)
    sample.roi_sequence = rois(branches=branches)
    assert np.array_equal(visualizer.draw('x', image, sample), without)
    visualizer.draw_attention = True
    picture = visualizer.draw('x', image, sample)
    column = WIDTH + 7
    assert picture.shape[1] == without.shape[1] + branches * column
    slices = [picture[CAPTION:, i * column :][:HEIGHT, :WIDTH] for i in range(1, branches + 1)]
    lightest, heaviest = weight_colors([0, 1])
    assert is_color(slices[0][59, 40], lightest)
    assert is_color(slices[0][219, 150], heaviest)  # 0.2 + 0.3 of a repeated RoI
    if branches == 2:
        assert is_color(slices[1][59, 40], heaviest)
        assert is_color(slices[1][219, 150], weight_colors([0.5])[0])
    assert visualizer.draw('x', image, sample, draw_pred=False).shape == without.shape


@pytest.mark.parametrize(
    'sample',
    [None, DetDataSample(), DetDataSample(metainfo=dict(img_path='a/b.png', patient_id='7'))],
)
def test_samples_with_nothing_to_draw(visualizer, image, sample):
    visualizer.add_datasample('x', image, sample)
    assert (visualizer.get_image()[CAPTION : CAPTION + HEIGHT, :WIDTH] == 40).all()


def test_no_lesion_found_boxes_only_and_unknown_classes(visualizer, image):
    sample = DetDataSample()
    sample.pred_instances = box_instances([], [], [])
    assert visualizer.draw('x', image, sample).ndim == 3
    sample.pred_instances = box_instances([(20, 20, 60, 60)], [4], [0.9])
    assert (visualizer.draw('x', image, sample)[CAPTION + 40, 40] != 40).any()
    del sample.pred_instances.masks
    picture = visualizer.draw('x', image, sample)
    assert (picture[CAPTION + 20, 40] != 40).any() and (picture[CAPTION + 40, 40] == 40).all()
    visualizer.dataset_meta = {}
    assert visualizer.draw('x', image, sample).ndim == 3


@pytest.mark.parametrize(
    'shape, dtype',
    [((64, 48), np.uint8), ((60, 90, 3), np.uint16), ((40, 700), np.int16), ((20, 20, 1), float)],
)
def test_small_slices_are_enlarged(visualizer, shape, dtype):
    small = (np.arange(np.prod(shape)).reshape(shape) % 200).astype(dtype)
    sample = DetDataSample()
    sample.pred_instances = box_instances([(5, 5, 15, 15)], [1], [0.9], size=shape[:2])
    scale = display_scale(*shape[:2], 512)
    visualizer.add_datasample('x', small, sample)
    picture = visualizer.get_image()
    assert picture.dtype == np.uint8
    assert picture.shape[0] >= 512 or shape[1] > 512
    assert scale * max(shape[:2]) <= 2048
    size = max(14, int(0.029 * round(scale * min(shape[:2]))))
    spot = picture[round(1.9 * size) + round(10 * scale), round(10 * scale)].astype(int)
    assert spot[0] > spot[2] + 20  # amber


def test_sixteen_bits_are_shown_at_full_depth(visualizer, tmp_path):
    deep = np.tile(np.linspace(0, 4095, 256), (256, 1)).astype(np.uint16)
    path = str(tmp_path / 'deep.png')
    cv2.imwrite(path, deep)
    crushed = cv2.imread(path)  # what MMDetection's hook passes on
    assert crushed.max() == 15
    assert at_full_depth(crushed, path).dtype == np.uint16
    assert at_full_depth(crushed, None) is crushed
    assert at_full_depth(crushed[:10], path).shape == (10, 256, 3)
    picture = visualizer.draw('x', crushed, DetDataSample(metainfo=dict(img_path=path)))
    assert len(np.unique(picture[CAPTION : CAPTION + 500, :500])) > 150


def test_file_is_written_and_backends_are_not_then(visualizer, image, tmp_path):
    shown = []
    visualizer.add_image = lambda name, picture, step: shown.append((name, step))
    path = tmp_path / 'new' / 'a.png'
    visualizer.add_datasample('x', image, prediction(), out_file=str(path))
    assert np.array_equal(cv2.imread(str(path))[..., ::-1], visualizer.get_image())
    assert not shown and list(path.parent.iterdir()) == [path]
    visualizer.add_datasample('x', image, prediction(), step=3)
    assert shown == [('x', 3)]
    with pytest.raises(cv2.error):
        visualizer.add_datasample('x', image, prediction(), out_file=str(path) + '.unknown')
    assert list(path.parent.iterdir()) == [path]


def test_more_can_be_drawn_upon_the_picture(visualizer, image):
    visualizer.add_datasample('x', image, prediction())
    before = visualizer.get_image()
    visualizer.draw_bboxes(torch.tensor([10, 60, 40, 90]), edge_colors='r', line_widths=4)
    after = visualizer.get_image()
    assert after.shape == before.shape
    assert not np.array_equal(after, before)


@pytest.mark.parametrize('array', [np.zeros((0, 5)), np.zeros((3, 4, 4, 3)), np.zeros((4, 4, 2))])
def test_no_slice_is_refused(array):
    with pytest.raises(ValueError, match='cannot draw an array of shape'):
        to_rgb8(array)


@given(low=st.floats(-2000, 2000), width=st.floats(1, 1e4))
def test_stretch_keeps_order_and_uses_the_range(low, width):
    ramp = np.linspace(low, low + width, 1000).reshape(20, 50)
    grey = to_rgb8(ramp)[..., 0].ravel().astype(int)
    assert (np.diff(grey) >= 0).all()
    assert grey.min() == 0 and grey.max() == 255
    assert len(np.unique(to_rgb8(np.full((4, 4), low)))) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=16))
def test_weights_of_repeated_rois_add_up(drawn):
    boxes = np.array([[i, i, i + 5, i + 9] for i, _ in drawn], float)
    weights = np.array([[weight, -weight] for _, weight in drawn])
    first, summed = merge_repeats(boxes, weights)
    order = list(dict.fromkeys(i for i, _ in drawn))
    assert boxes[first, 0].tolist() == order and (np.diff(first) > 0).all()
    for i, own in zip(order, summed):
        total = sum(weight for other, weight in drawn if other == i)
        assert own == pytest.approx([total, -total])


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(1, 300))
def test_shortened_text_fits(text, room):
    used = font(14)
    text = ''.join(text.splitlines())
    short = shorten(text, used, room)
    assert used.getlength(short) <= room
    assert short == text or used.getlength(text) > room


def test_builds_from_a_config():
    made = VISUALIZERS.build(
        dict(type='mmcovid.OneShotVisualizer', name='built', draw_attention=True, min_size=256)
    )
    assert isinstance(made, OneShotVisualizer)
    assert made.draw('x', np.zeros((64, 64), np.uint8), DetDataSample()).shape[0] < 512
