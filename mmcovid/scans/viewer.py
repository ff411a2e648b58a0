"""The page to look through a scan: every slice with its masks, in one file that opens offline."""

import base64
import math
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np

from mmcovid.classes import Classes, NamedClass
from mmcovid.ct import LEVEL, WIDTH, CTVolume, check_picture, read_slice
from mmcovid.drawing.slices import to_rgb8
from mmcovid.reporting.templating import render, template_text
from mmcovid.results import ScanResults, ScanSlice

from .page import by_size, place_of
from .plots import load_of
from .predict import Prediction


class Window(NamedTuple):
    """What a reader looks through, in HU."""

    name: str
    level: float
    width: float


WINDOWS = (Window('Lung', LEVEL, WIDTH), Window('Mediastinum', 40, 400))
#: HU of grey level 0, and from one level to the next. The last is 240 HU, white in both windows;
#: in the lung window the screen has a level for 5.9 HU.
FLOOR, STEP = -1035, 5
#: Of a page; slices of larger scans are shown with larger pixels. A voxel of a CT takes about half
#: a byte, so that a page has about 25 MB at most. Of mere noise it has 55 MB.
MOST_VOXELS = 40_000_000
_MOST_LESIONS = 200


def render_viewer(name: str, results: ScanResults, prediction: Prediction, classes: Classes) -> str:
    """Lay the page of all slices out.

    Args:
        name (str): Of the scan.
        results (ScanResults): Everything as numbers.
        prediction (Prediction): What they are of: voxels or pictures, and label maps.
        classes (Classes): Of the lesions and the slices.

    Returns:
        str: The HTML page.
    """
    volume = prediction.volume
    reduction = _reduction(prediction)
    found = by_size(results)
    planes = ('axial', 'coronal', 'sagittal')
    return render(
        'viewer.html',
        title=f'{name}: all slices',
        results=results,
        classes=classes,
        windows=() if volume is None else WINDOWS,
        planes=planes[:1] if volume is None or len(volume) < 2 else planes,
        reduction=reduction,
        lesions=found[:_MOST_LESIONS],
        num_lesions=len(found),
        data=_data_of(results, prediction, classes, reduction),
        script=template_text('viewer.js'),
    )


def encode(plane: np.ndarray) -> str:
    """Pack a plane losslessly, as text.

    What a predictor of neighbours (left, above, and their plane with the corner, clipped between
    both, as in JPEG-LS) leaves over is small, and is deflated.

    Args:
        plane (np.ndarray): (H, W), uint8.

    Returns:
        str: In base64; ``decode`` in ``viewer.js`` unpacks it.
    """
    padded = np.pad(plane, ((1, 0), (1, 0))).astype(np.int16)
    left, above, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    guess = (left + above - corner).clip(np.minimum(left, above), np.maximum(left, above))
    # only runs are looked for: repeats of noise are rare, and cost six times the time
    deflate = zlib.compressobj(strategy=zlib.Z_RLE)
    packed = deflate.compress((plane - guess).astype(np.uint8).tobytes()) + deflate.flush()
    return base64.b64encode(packed).decode()


def to_levels(hu: np.ndarray) -> np.ndarray:
    """Hounsfield units as grey levels of the page: uint8, of the same shape."""
    return np.rint((hu.astype(np.float32) - FLOOR) / STEP).clip(0, 255).astype(np.uint8)


def reduce_grey(plane: np.ndarray, factor: int) -> np.ndarray:
    """Means of squares of pixels, (H, W) to (⌈H / factor⌉, ⌈W / factor⌉), float32."""
    blocks = _blocks(plane.astype(np.float32), factor)
    return blocks.mean((1, 3))


def reduce_labels(plane: np.ndarray, factor: int) -> np.ndarray:
    """The middle ones of squares of labels, of the shape that :func:`reduce_grey` gives."""
    return _blocks(plane, factor)[:, factor // 2, :, factor // 2]


def _blocks(plane: np.ndarray, factor: int) -> np.ndarray:
    """Squares of pixels, (rows, factor, columns, factor); the edge goes on to fill the last."""
    height, width = plane.shape
    padded = np.pad(plane, ((0, -height % factor), (0, -width % factor)), mode='edge')
    return padded.reshape(-(-height // factor), factor, -(-width // factor), factor)


def _reduction(prediction: Prediction) -> int:
    """By how much pixels are larger than those of the scan, at each side."""
    if prediction.volume is not None:
        voxels = prediction.volume.array.size
    else:
        voxels = sum(math.prod(check_picture(kept.path)) for kept in prediction.slices)
    return math.ceil(math.sqrt(voxels / MOST_VOXELS))


def _data_of(
    results: ScanResults, prediction: Prediction, classes: Classes, reduction: int
) -> dict[str, Any]:
    """What the script of the page reads."""
    volume, first = prediction.volume, results.slices[0]
    rows = {row.index: row for row in results.slices}
    slices = [
        _pack(pixels, labels, reduction) | _describe(index, rows.get(index), results, classes)
        for index, pixels, labels in _planes(prediction)
    ]
    most = max(sum(each['loads'] or ()) for each in slices)
    return dict(
        slices=slices,
        reduction=reduction,
        spacing=None if volume is None else _spacing_of(volume, reduction),
        grey=None if volume is None else dict(floor=FLOOR, step=STEP),
        windows=[window._asdict() for window in WINDOWS],
        colors=classes.palette,
        lung=classes.lung and classes.lesion_names.index(classes.lung) + 1,
        loads=None if first.pixels is None else [lesion.color for lesion in _loading(classes)],
        scores=None if first.scores is None else [each.color for each in classes.images],
        most=f'{most:,} pixels' if volume is None else f'{most:.1f} cm²',
    )


def _spacing_of(volume: CTVolume, reduction: int) -> list[float]:
    """Of what is shown (x, y, z), in mm."""
    x, y, z = volume.spacing
    return [x * reduction, y * reduction, z]


def _planes(prediction: Prediction) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Index, grey levels, (H, W) uint8 or HU, and label map of each slice there is to be seen.

    Of a volume these are all: the planes across it have no gaps.
    """
    labels = {kept.index: kept.labels for kept in prediction.slices}
    if prediction.volume is not None:
        for index, plane in enumerate(prediction.volume.array):
            yield index, plane, labels.get(index)
        return
    for kept in prediction.slices:
        picture = cv2.cvtColor(to_rgb8(read_slice(kept.path)), cv2.COLOR_RGB2GRAY)
        yield kept.index, picture, kept.labels


def _pack(pixels: np.ndarray, labels: np.ndarray | None, reduction: int) -> dict[str, Any]:
    """A slice as the page has it: its size, grey levels and labels."""
    is_ct = pixels.dtype != np.uint8
    if reduction > 1:
        pixels = np.rint(reduce_grey(pixels, reduction))
        labels = None if labels is None else reduce_labels(labels, reduction)
    pixels = to_levels(pixels) if is_ct else pixels.astype(np.uint8)
    return dict(
        size=pixels.shape,
        pixels=encode(pixels),
        labels=None if labels is None else encode(labels),
    )


def _describe(
    index: int, row: ScanSlice | None, results: ScanResults, classes: Classes
) -> dict[str, Any]:
    """What the page tells of a slice; of one that could not be read, its index."""
    if row is None:
        return dict(
            index=index, place='could not be read', in_region=False, loads=None, scores=None
        )
    withheld = results.settings.abstain_unfamiliar and row.familiar is False
    return dict(
        index=index,
        place=place_of(row),
        in_region=row.in_region,
        loads=row.pixels and [load_of(row, lesion.name) for lesion in _loading(classes)],
        scores=None if withheld or row.scores is None else list(row.scores.values()),
    )


def _loading(classes: Classes) -> list[NamedClass]:
    """The lesion classes but the lung."""
    return [lesion for lesion in classes.lesions if lesion.name != classes.lung]
