"""MMDetection's samples as results that need none of it."""

from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmcovid.results import Lesions, RoISequence, SliceResult


def to_slice_result(sample: DetDataSample) -> SliceResult:
    """What a sample says of its slice, as arrays.

    Args:
        sample (DetDataSample): Prediction, on any device; all its parts are optional.

    Returns:
        SliceResult: Lesions without masks, of a model that finds boxes only, count as none.
    """
    sample = sample.cpu()
    found, rois = sample.get('pred_instances'), sample.get('roi_sequence')
    return SliceResult(
        path=sample.get('img_path'),
        lesions=_to_lesions(found) if found is not None and 'masks' in found else None,
        class_scores=sample.pred_score.double().numpy() if 'pred_score' in sample else None,
        class_logits=sample.pred_logits.double().numpy() if 'pred_logits' in sample else None,
        roi_sequence=None if rois is None else _to_roi_sequence(rois),
        window=sample.get('window'),
        feature_distance=float(sample.feature_distance) if 'feature_distance' in sample else None,
        image_vector=sample.image_vector.numpy() if 'image_vector' in sample else None,
    )


def _to_lesions(found: InstanceData) -> Lesions:
    found = found.numpy()
    return Lesions(found.labels, found.scores, found.bboxes, found.masks.astype(bool))


def _to_roi_sequence(rois: InstanceData) -> RoISequence:
    rois = rois.numpy()
    return RoISequence(rois.bboxes, rois.labels, rois.scores, rois.attention)
