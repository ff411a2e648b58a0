"""Drawing of RoI sequences with the attention weights of one or two branches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mmcovid.classes import as_color

from .side_panel import DIM, TEXT, SidePanel, font
from .slices import Color, draw_boxes, merge_repeats, weight_colors

#: What the columns of (β, 2) weights are; a single branch has no name.
BRANCHES = ('class-relevant', 'class-irrelevant')


@dataclass(frozen=True)
class WeightedRoIs:
    """The m different RoIs of a sequence of β."""

    numbers: np.ndarray  #: place in the sequence, from 1, (m,); of repeated ones the first
    boxes: np.ndarray  #: (m, 4), as x1, y1, x2, y2 in pixels of the slice
    labels: np.ndarray | None  #: lesion classes, (m,), if the sequence tells them
    weights: np.ndarray  #: (m, branches); those of repeated RoIs are added up
    length: int  #: β

    @classmethod
    def of(cls, sequence: Any) -> 'WeightedRoIs':
        """Take them from a RoI sequence with ``bboxes``, ``attention`` and perhaps ``labels``."""
        weights = np.asarray(sequence.attention, float).reshape(len(sequence.bboxes), -1)
        boxes = np.asarray(sequence.bboxes, float)
        first, summed = merge_repeats(boxes, weights)
        labels = getattr(sequence, 'labels', None)
        labels = None if labels is None else np.asarray(labels)[first]
        return cls(first + 1, boxes[first], labels, summed, len(boxes))

    @property
    def captions(self) -> list[str]:
        """A heading for each branch."""
        branches = self.weights.shape[1]
        return (
            ['RoIs by attention']
            if branches == 1
            else [f'RoIs, {name} branch' for name in BRANCHES]
        )

    def ranks(self) -> np.ndarray:
        """Rank of each weight in its branch, 1 for the heaviest, (m, branches)."""
        return np.argsort(np.argsort(-self.weights, axis=0, kind='stable'), axis=0) + 1


def draw_rois(image: np.ndarray, rois: WeightedRoIs, branch: int, scale: float) -> np.ndarray:
    """A copy of the slice with RoIs, coloured by weight, each with its number at a corner.

    Args:
        image (np.ndarray): Slice, (H, W, 3), RGB, uint8.
        rois (WeightedRoIs): The RoIs.
        branch (int): Whose weights to show.
        scale (float): Pixels of the picture in a pixel of the slice.

    Returns:
        np.ndarray: (H, W, 3), RGB, uint8. Heavier RoIs are above lighter ones.
    """
    image, unit = image.copy(), min(image.shape[:2]) / 512
    shares, boxes = _shares(rois.weights[:, branch]), rois.boxes * scale
    lightest_first = np.argsort(shares, kind='stable')
    colors = weight_colors(shares)
    draw_boxes(
        image,
        boxes[lightest_first],
        [colors[i] for i in lightest_first],
        [max(1, round((1 + 2 * shares[i]) * unit)) for i in lightest_first],
    )
    picture = Image.fromarray(image)
    draw, used = ImageDraw.Draw(picture), font(round(max(11, 12 * unit)), bold=True)
    taken: list[np.ndarray] = []
    for i in lightest_first[::-1]:
        text = str(rois.numbers[i])
        size = np.array([used.getlength(text) + 4, used.size + 2])
        tag = _free_corner(boxes[i], size, taken, image.shape)
        taken.append(tag)
        draw.rectangle(tag.tolist(), fill=colors[i])
        draw.text(
            tuple((tag[:2] + tag[2:]) / 2), text, fill=_ink_on(colors[i]), font=used, anchor='mm'
        )
    return np.asarray(picture)


def tell_attention(
    panel: SidePanel, rois: WeightedRoIs, name_of: Callable[[int], str], palette: list[Color]
) -> None:
    """Legend: colour bars, and number, lesion class, weight and rank of each RoI.

    Args:
        panel (SidePanel): Where to write.
        rois (WeightedRoIs): The RoIs; those of the (first) branch's highest weights come first.
        name_of (Callable[[int], str]): Name of a lesion class.
        palette (list[tuple[int, int, int]]): Colours of the lesion classes.
    """
    num, branches = rois.weights.shape
    panel.rule()
    panel.text('Attention weight of the RoIs', color=DIM, scale=0.9)
    for branch in range(branches):
        own = rois.weights[:, branch]
        panel.color_bar(
            weight_colors(np.linspace(0, 1, 64)),
            f'{own.min():.3f}',
            f'{own.max():.3f}',
            BRANCHES[branch] if branches == 2 else '',
        )
    panel.columns(
        'RoI',
        ['relevant', 'irrelevant'] if branches == 2 else ['weight (rank)'],
        color=DIM,
        cell_width=4.7,
    )
    ranks, colors = rois.ranks(), [weight_colors(_shares(own)) for own in rois.weights.T]
    for i in np.argsort(ranks[:, 0]):
        label = None if rois.labels is None else rois.labels[i]
        panel.columns(
            f'{rois.numbers[i]}' + ('' if label is None else f' {name_of(label)}'),
            [
                f'{weight:.3f} ({rank})'.removeprefix('0')
                for weight, rank in zip(rois.weights[i], ranks[i])
            ],
            color=TEXT,
            swatch=None if label is None else palette[label],
            cell_colors=[_lighter(own[i]) for own in colors],
            cell_width=4.7,
        )
    panel.text(f'number: place in sequence; even: {1 / rois.length:.3f}', color=DIM, scale=0.9)
    if num < rois.length:
        panel.text(f'{rois.length - num} repeats added up', color=DIM, scale=0.9)


def _shares(weights: np.ndarray) -> np.ndarray:
    """Place of each weight between the lowest (0) and the highest (1); 1 if all are equal."""
    spread = np.ptp(weights) if len(weights) else 0
    return (weights - weights.min()) / spread if spread > 1e-9 else np.ones(len(weights))


def _free_corner(
    box: np.ndarray, size: np.ndarray, taken: list[np.ndarray], shape: tuple[int, ...]
) -> np.ndarray:
    """A tag (4,) at the corner of a box where it covers the others least, in the picture."""
    left, top, right, bottom = box
    if ((box[2:] - box[:2]) < 3 * size).any():  # above or below it: small boxes would be hidden
        top, bottom = top - size[1], bottom + size[1]
    corners = np.array(
        [
            [left, top],
            [right - size[0], top],
            [left, bottom - size[1]],
            [right - size[0], bottom - size[1]],
        ]
    )
    corners = np.clip(corners, 0, np.maximum(np.array(shape[1::-1]) - size - 1, 0))
    tags = np.hstack([corners, corners + size])
    if not taken:
        return tags[0]
    others = np.array(taken)
    sides = (
        np.minimum(tags[:, None, 2:], others[:, 2:]) - np.maximum(tags[:, None, :2], others[:, :2])
    ).clip(0)
    return tags[sides.prod(-1).sum(1).argmin()]


def _lighter(color: Color) -> Color:
    """The colour for thin letters on a dark ground."""
    return as_color(value + (255 - value) * 3 // 10 for value in color)


def _ink_on(color: Color) -> Color:
    """Black or white, whichever can be read on the colour."""
    return (0, 0, 0) if np.dot(color, (0.299, 0.587, 0.114)) > 110 else (255, 255, 255)
