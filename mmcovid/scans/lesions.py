"""3-D lesions: the label maps of slices joined, and where in the lungs a lesion is.

What touches is one lesion, whichever classes it is of: a consolidation and the ground glass around
it are one finding. Voxels touch by a side, an edge or a corner (26 neighbours): slices are
segmented one by one, so that the two sections of a lesion may be shifted by a pixel, and are
thicker than pixels are wide.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from mmcovid.classes import Classes
from mmcovid.ct import voxel_ml
from mmcovid.results import Lesion3D, Lesions3D, LungZone

from .label_maps import lesion_mask

SIDES = ('right', 'left')
THIRDS = ('lower', 'middle', 'upper')
_TOUCHING = np.ones((3, 3, 3), bool)
#: A lesion is of both sides if the smaller part is more than this share of it.
_BOTH = 0.1
#: Pieces of a lung mask below this share of its largest piece are strays, that tell no place.
_STRAY = 0.05
#: Distances from the lung's surface are of voxels that are thinned out to about this, in mm.
_STEP = 2
#: Peripheral is what is less deep than this share of the lung's deepest place.
_PERIPHERAL = 1 / 3


@dataclass(frozen=True)
class LesionVoxels:
    """The n voxels of the 3-D lesions of a label map, in its order."""

    place: np.ndarray  #: (n,), int, in the flattened map
    lesion: np.ndarray  #: (n,), int, number of the lesion from 0, the largest first
    sizes: np.ndarray  #: (lesions,), int, voxels of each

    def largest(self, number: int) -> 'LesionVoxels':
        """The largest lesions only."""
        kept = self.lesion < number
        return LesionVoxels(self.place[kept], self.lesion[kept], self.sizes[:number])

    def split(self) -> list[np.ndarray]:
        """The places of each lesion, the largest first."""
        by_lesion = self.place[np.argsort(self.lesion, kind='stable')]
        return np.split(by_lesion, np.cumsum(self.sizes)[:-1]) if len(self.sizes) else []

    def find(self, places: np.ndarray) -> np.ndarray:
        """The lesion at each of these places of the flattened map, (p,) int; -1 where is none."""
        if not len(self.place):
            return np.full(len(places), -1)
        at = np.searchsorted(self.place, places).clip(max=len(self.place) - 1)
        return np.where(self.place[at] == places, self.lesion[at], -1)


@dataclass(frozen=True)
class LungFrame:
    """By what the place of a lesion is told."""

    middle: float  #: column half way between the outermost voxels of the lungs
    slices: tuple[int, int]  #: first and last one that show lung
    depth: np.ndarray  #: distance from the surface in mm, of every ``steps``-th voxel
    steps: np.ndarray  #: (3,), int
    deepest: float  #: greatest distance from the surface, in mm

    def side(self, columns: np.ndarray) -> np.ndarray:
        """Index in :data:`SIDES` of columns; they go from the patient's right to the left."""
        return (columns > self.middle).astype(int)

    def third(self, slices: np.ndarray) -> np.ndarray:
        """Index in :data:`THIRDS` of slices, which go from the feet to the head."""
        first, last = self.slices
        return ((slices - first) * 3 // (last - first + 1)).clip(0, 2)

    def depth_of(self, index: np.ndarray) -> np.ndarray:
        """Distance from the surface, (n,), of voxels, (n, 3): slice, row, column."""
        return self.depth[tuple((index // self.steps).T)]


def join_lesions(labels: np.ndarray, classes: Classes) -> LesionVoxels:
    """Join a label map into 3-D lesions.

    Args:
        labels (np.ndarray): (Z, H, W), 0 where there is nothing, else 1 + lesion class.
        classes (Classes): Their meaning; the lung is no lesion.

    Returns:
        LesionVoxels: Lesions of equal size are in the order of their first voxels.
    """
    lesion = lesion_mask(labels, classes)
    place = np.flatnonzero(lesion)
    # only the box that holds them, as numbers take four times the memory of labels
    for box in ndimage.find_objects(lesion.view(np.uint8)):
        lesion = lesion[box]
    joined, number = ndimage.label(lesion, _TOUCHING)
    numbers = joined[lesion] - 1
    sizes = np.bincount(numbers, minlength=number)
    order = np.argsort(-sizes, kind='stable')
    rank = np.empty(number, int)
    rank[order] = np.arange(number)
    return LesionVoxels(place, rank[numbers], sizes[order])


def find_lung_frame(lung: np.ndarray, spacing: tuple[float, float, float]) -> LungFrame | None:
    """What tells the place of a lesion in a lung mask; None if there is no lung.

    Args:
        lung (np.ndarray): (Z, H, W), bool, lesions included.
        spacing (tuple[float, float, float]): Of columns, rows and slices, in mm.
    """
    steps = np.array([max(1, round(_STEP / each)) for each in spacing[::-1]])
    thinned = lung[tuple(slice(None, None, step) for step in steps)]
    pieces, number = ndimage.label(thinned, _TOUCHING)
    if not number:
        return None
    sizes = np.bincount(pieces.ravel())[1:]
    kept = np.isin(pieces, 1 + np.flatnonzero(sizes >= _STRAY * sizes.max()))
    slices, rows, columns = np.nonzero(kept)
    # vessels that a model left out are no surface, nor are the scan's ends; the image's edges are
    box = np.s_[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in kept[box]])
    depth = np.zeros(kept.shape)
    depth[box] = ndimage.distance_transform_edt(
        np.pad(filled, ((0, 0), (1, 1), (1, 1))), sampling=steps * spacing[::-1]
    )[:, 1:-1, 1:-1]
    return LungFrame(
        (columns.min() + columns.max()) / 2 * steps[2],
        (int(slices.min() * steps[0]), int(slices.max() * steps[0])),
        depth,
        steps,
        float(depth.max()),
    )


def measure_lesions(
    labels: np.ndarray,
    scores: Iterable[tuple[int, float]],
    spacing: tuple[float, float, float],
    classes: Classes,
    least_ml: float,
) -> Lesions3D:
    """The 3-D lesions of a label map, with their places, and the load of the lungs.

    Args:
        labels (np.ndarray): (Z, H, W), from the feet to the head, the front to the back and the
            patient's right to the left; 0 where there is nothing, else 1 + lesion class.
        scores (Iterable[tuple[int, float]]): Places in the flattened map, and the scores of
            instances that are there.
        spacing (tuple[float, float, float]): Of columns, rows and slices, in mm.
        classes (Classes): Meaning of the labels.
        least_ml (float): Volume of the smallest lesion that is listed.

    Returns:
        Lesions3D: Without places and zones if no class is the lung, or no lung is there.
    """
    ml = voxel_ml(spacing)
    every = join_lesions(labels, classes)
    number = int((every.sizes * ml >= least_ml).sum())
    frame = None if classes.lung is None else find_lung_frame(labels > 0, spacing)
    zones = None if frame is None else measure_zones(labels, every, frame, ml)
    best = _best_scores(every, scores)[:number]
    return Lesions3D(
        count=number,
        left_out=len(every.sizes) - number,
        load_score=None if zones is None else sum(zone.grade for zone in zones),
        zones=zones,
        lesions=describe_lesions(every.largest(number), labels, best, ml, frame, classes),
    )


def describe_lesions(
    lesions: LesionVoxels,
    labels: np.ndarray,
    scores: Sequence[float | None],
    ml: float,
    frame: LungFrame | None,
    classes: Classes,
) -> list[Lesion3D]:
    """Volume and place of lesions.

    Args:
        lesions (LesionVoxels): Of the label map.
        labels (np.ndarray): (Z, H, W), 0 where there is nothing, else 1 + lesion class.
        scores (Sequence[float | None]): Of each lesion.
        ml (float): Volume of a voxel.
        frame (LungFrame, optional): Of the lungs; None if places are not known.
        classes (Classes): Meaning of the labels.
    """
    return [
        _describe_lesion(place, labels, score, ml, frame, classes)
        for place, score in zip(lesions.split(), scores)
    ]


def _best_scores(voxels: LesionVoxels, scores: Iterable[tuple[int, float]]) -> list[float | None]:
    """The highest score of each lesion."""
    best: list[float | None] = [None] * len(voxels.sizes)
    pairs = sorted(scores, key=lambda pair: pair[1])
    for lesion, (_, score) in zip(voxels.find(np.array([at for at, _ in pairs], int)), pairs):
        if lesion >= 0:
            best[lesion] = score
    return best


def _describe_lesion(
    place: np.ndarray,
    labels: np.ndarray,
    score: float | None,
    ml: float,
    frame: LungFrame | None,
    classes: Classes,
) -> Lesion3D:
    index = np.column_stack(np.unravel_index(place, labels.shape))
    names = classes.lesion_names
    counts = np.bincount(labels.ravel()[place], minlength=len(names) + 1)[1:]
    z, y, x = index[0].tolist()
    return Lesion3D(
        class_=names[counts.argmax()],
        score=score,
        voxels=len(place),
        ml=len(place) * ml,
        ml_by_class={
            name: float(count * ml) for name, count in zip(names, counts) if name != classes.lung
        },
        first_slice=int(index[0, 0]),
        last_slice=int(index[-1, 0]),
        voxel=(x, y, z),
        **({} if frame is None else _locate(index, frame)),
    )


def _locate(index: np.ndarray, frame: LungFrame) -> dict[str, Any]:
    """Where a lesion of voxels (n, 3) is: side, third, depth and depth_mm."""
    sides = np.bincount(frame.side(index[:, 2]), minlength=2) / len(index)
    thirds = np.bincount(frame.third(index[:, 0]), minlength=3)
    depth = frame.depth_of(index)
    outer = (depth <= _PERIPHERAL * frame.deepest).mean()
    return dict(
        side='both' if sides.min() > _BOTH else SIDES[sides.argmax()],
        third=THIRDS[thirds.argmax()],
        depth='peripheral' if outer >= 0.5 else 'central',
        depth_mm=float(depth.mean()),
    )


def measure_zones(
    labels: np.ndarray, lesions: LesionVoxels, frame: LungFrame, ml: float
) -> list[LungZone]:
    """How much of each third of each lung is lesion.

    Args:
        labels (np.ndarray): (Z, H, W), 0 where there is nothing, else 1 + lesion class.
        lesions (LesionVoxels): All of its lesions.
        frame (LungFrame): Of its lungs.
        ml (float): Volume of a voxel.

    Returns:
        list[LungZone]: Right and left, from the upper to the lower third.
    """
    third_of = frame.third(np.arange(len(labels)))
    side_of = frame.side(np.arange(labels.shape[2]))
    by_column = np.count_nonzero(labels, axis=1)  # (Z, W)
    z, _, x = np.unravel_index(lesions.place, labels.shape)
    ill = np.bincount(third_of[z] * 2 + side_of[x], minlength=6).reshape(3, 2)
    zones = []
    for s, side in enumerate(SIDES):
        for t in (2, 1, 0):
            lung = int(by_column[third_of == t][:, side_of == s].sum())
            share = ill[t, s] / lung if lung else None
            zones.append(
                LungZone(
                    side,
                    THIRDS[t],
                    lung * ml,
                    float(ill[t, s] * ml),
                    None if share is None else float(share),
                    int(np.ceil(share * 4)) if share else 0,
                )
            )
    return zones
