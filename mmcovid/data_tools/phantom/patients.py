"""Chest-like CT slices with exact lesion masks, drawn from a seed.

They look like axial slices in a lung window (level -600 HU, width 1500 HU) and
follow the patterns that tell the classes of the real sets apart: no lesion
(normal), lobar consolidation in one lung (cp), ground-glass opacities along the
pleura of both lungs (covid19). They teach nothing about the disease: they are
for demos, tests and comparisons that need no clinical data.

Lengths are in units of half the image side, the origin is the image centre, u
points to the image's right (the patient's left), v down (to the back). Levels
run from 0 at the lung apex to 1 at its base. Densities are Hounsfield units.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from mmcovid.classes import IMAGE_CLASSES

#: Mask values, as in the CNCB-NCOV lesion set.
BACKGROUND, LUNG, GGO, CONSOLIDATION = range(4)
#: Levels at which a patient's lesions show.
LESION_LEVELS = (0.3, 0.8)

WINDOW_LEVEL, WINDOW_WIDTH = -600, 1500
AIR, FAT, SOFT, BONE = -1000, -95, 45, 330


@dataclass(frozen=True)
class Lesion:
    """One lesion: an ellipse with a ragged edge, placed relative to its lung."""

    value: int  #: GGO or CONSOLIDATION
    side: int  #: -1 lung on the image's left, 1 on its right
    angle: float  #: direction from the lung's centre, radians, 0 towards the side, + to the back
    reach: float  #: how far out the centre lies, 0 lung centre, 1 pleura
    length: float  #: half length along the pleura
    depth: float  #: half length across it
    level: float  #: level of its largest section
    extent: float  #: half length along the levels
    density: float  #: HU
    rim: float  #: width of a GGO rim around a consolidation, in parts of its size
    core: float  #: size of a consolidation inside a GGO, in parts of its size
    seed: int


@dataclass(frozen=True)
class Patient:
    """Everything about a patient that its slices share."""

    seed: tuple
    label: int
    body: tuple  #: half axes
    fat: float  #: thickness of the fat layer
    chest: tuple  #: half axes of the chest's inside
    wobble: np.ndarray  #: (4, 2) amplitudes and phases of the chest wall's unevenness
    heart: tuple  #: u, v, half axes
    lung_density: float
    lung_texture: float  #: standard deviation, HU
    vessels: int  #: vessel trees per lung
    rotation: float
    scale: float
    shift: tuple
    window: tuple  #: level and width
    noise: float
    lesions: tuple


def draw_patient(seed: int, index: int, label: int) -> Patient:
    """Draw patient number ``index`` of class ``label`` (0 normal, 1 cp, 2 covid19).

    The same arguments give the same patient; the class changes only its lesions.
    """
    if not 0 <= label < len(IMAGE_CLASSES):
        raise ValueError(f'a phantom patient has a label from 0 to 2, not {label}.')
    rng = np.random.default_rng((seed, index))
    body = rng.uniform(0.82, 0.92), rng.uniform(0.62, 0.76)
    fat = rng.uniform(0.03, 0.09)
    wall = fat + rng.uniform(0.07, 0.10)
    return Patient(
        seed=(seed, index),
        label=label,
        body=body,
        fat=fat,
        chest=(body[0] - wall, body[1] - wall - 0.05),
        wobble=np.stack([rng.normal(0, 0.012, 4), rng.uniform(0, 2 * np.pi, 4)], 1),
        heart=(
            rng.uniform(0.06, 0.13),
            rng.uniform(-0.14, -0.04),
            rng.uniform(0.21, 0.27),
            rng.uniform(0.21, 0.28),
        ),
        lung_density=rng.uniform(-900, -780),
        lung_texture=rng.uniform(15, 60),
        vessels=int(rng.integers(3, 7)),
        rotation=np.deg2rad(rng.normal(0, 4)),
        scale=rng.uniform(0.88, 1.08),
        shift=tuple(rng.normal(0, 0.025, 2)),
        window=(WINDOW_LEVEL + rng.normal(0, 60), WINDOW_WIDTH * rng.uniform(0.85, 1.2)),
        noise=rng.uniform(25, 60),
        lesions=tuple(_draw_lesions(rng, label)),
    )


def confine_lesions(patient: Patient, share: float) -> Patient:
    """The patient with lesions on a part of the slices only, one after the other.

    Args:
        patient (Patient): Whose lesions they are.
        share (float): Of the levels, above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f'lesions show on a share of the slices above 0 and up to 1, not {share}.')
    rng = np.random.default_rng((*patient.seed, round(share * 1000)))
    middle = rng.uniform(share / 2, 1 - share / 2)
    lesions = (replace(each, level=middle, extent=share / 2) for each in patient.lesions)
    return replace(patient, lesions=tuple(lesions))


def render_slice(
    patient: Patient, level: float, size: int = 256, with_lesions: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one slice.

    Args:
        patient (Patient): Whose slice it is.
        level (float): Where, from 0 (apex) to 1 (base).
        size (int): Side of the image in pixels.
        with_lesions (bool): False gives the patient's lungs as they were before.

    Returns:
        tuple[np.ndarray, np.ndarray]: Image (size, size) uint8, and mask of the
        same shape and type with 0 background, 1 lung, 2 GGO, 3 consolidation.
    """
    hu, mask = render_hu(patient, level, size, with_lesions)
    middle, width = patient.window
    return np.clip((hu - middle + width / 2) / width * 255, 0, 255).astype(np.uint8), mask


def render_hu(
    patient: Patient, level: float, size: int = 256, with_lesions: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one slice in Hounsfield units, (size, size) float32; see :func:`render_slice`."""
    rng = np.random.default_rng((*patient.seed, round(level * 1000)))
    frame = _Frame(patient, size)
    lungs = _lungs(patient, frame, level)
    image = _torso(patient, frame, level, rng)
    _draw_airways(image, frame, level)

    tissue = patient.lung_density + 60 * frame.v + patient.lung_texture * _noise(rng, size, 10)
    mask = (lungs != 0).astype(np.uint8) * LUNG
    for lesion in patient.lesions if with_lesions else ():
        tissue = _add_lesion(tissue, mask, lungs == lesion.side, lesion, frame, level)
    vessels = _vessels(patient, frame, lungs, rng)
    tissue = np.maximum(tissue, tissue + vessels * (SOFT - tissue))
    image = np.where(lungs != 0, tissue, image)
    return _scan(image, patient, size, rng), mask


class _Frame:
    """Pixel grid of a slice in the patient's own coordinates, and back."""

    def __init__(self, patient: Patient, size: int) -> None:
        self.size = size
        cos, sin = np.cos(patient.rotation), np.sin(patient.rotation)
        self.turn = patient.scale * np.array([[cos, -sin], [sin, cos]])
        self.shift = np.array(patient.shift) + [0, 0.08]
        grid = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
        x, y = np.meshgrid(grid - self.shift[0], grid - self.shift[1])
        back = np.linalg.inv(self.turn).astype(np.float32)
        self.u, self.v = back[0, 0] * x + back[0, 1] * y, back[1, 0] * x + back[1, 1] * y

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Turn (..., 2) points into pixels in OpenCV's fixed point with 4 bits."""
        xy = np.asarray(points, dtype=np.float64) @ self.turn.T + self.shift
        return np.round(((xy + 1) / 2 * self.size - 0.5) * 16).astype(np.int32)

    def line(self, image: np.ndarray, points: np.ndarray, value: float, width: float) -> None:
        """Draw a line through ``points`` (n, 2)."""
        self.lines(image, np.asarray(points)[None], [value], [width])

    def lines(
        self,
        image: np.ndarray,
        points: np.ndarray,
        values: Sequence[float],
        widths: Sequence[float] | np.ndarray,
    ) -> None:
        """Draw lines through ``points`` (lines, n, 2), smooth-edged where ``image`` is uint8."""
        style = cv2.LINE_AA if image.dtype == np.uint8 else cv2.LINE_8
        scale = self.turn[0, 0] * self.size / 2
        for line, value, width in zip(self.pixels(points), values, widths):
            cv2.polylines(image, [line], False, value, max(1, round(width * scale)), style, 4)

    def ellipse(self, u: float, v: float, a: float, b: float, power: float = 2) -> np.ndarray:
        """(size, size): below 1 inside the (super-)ellipse about (u, v), 1 on it."""
        return np.abs((self.u - u) / a) ** power + np.abs((self.v - v) / b) ** power


def _chest_outline(patient: Patient, angles: np.ndarray, level: float) -> np.ndarray:
    """Points (n, 2) of the chest's inside wall in the directions ``angles`` (n,)."""
    a, b = np.array(patient.chest) * (0.74 + 0.26 * np.clip(level / 0.45, 0, 1) ** 0.7)
    radius = (np.abs(np.cos(angles) / a) ** 2.3 + np.abs(np.sin(angles) / b) ** 2.3) ** (-1 / 2.3)
    for order, (amplitude, phase) in enumerate(patient.wobble, 2):
        radius = radius * (1 + amplitude * np.cos(order * angles + phase))
    return radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


def _lungs(patient: Patient, frame: _Frame, level: float) -> np.ndarray:
    """(size, size) int8: -1 and 1 in the lungs, by side; 0 elsewhere."""
    inside = np.zeros((frame.size, frame.size), np.uint8)
    cv2.fillPoly(
        inside,
        [frame.pixels(_chest_outline(patient, np.linspace(0, 2 * np.pi, 181), level))],
        1,
        cv2.LINE_8,
        4,
    )
    u, v, a, b = patient.heart
    grow = np.clip(0.35 + 0.9 * level, 0.35, 1.05)
    back = patient.chest[1]
    middle = np.abs(frame.u) < 0.055 + 0.05 * np.exp(-(((frame.v - 0.05) / 0.22) ** 2))
    for organ in (
        frame.ellipse(u * grow, v, a * grow, b * (0.6 + 0.4 * grow)),  # heart, great vessels
        frame.ellipse(0, back - 0.02, 0.17, 0.24),  # spine
        frame.ellipse(0.13, back - 0.24, 0.085, 0.09),
    ):  # aorta
        middle |= organ < 1
    if level > 0.7:  # the liver's dome, on the image's left
        dome = (level - 0.7) / 0.3
        middle |= frame.ellipse(-0.36, -0.12, 0.34 * dome**0.5, 0.27 * dome**0.5) < 1
    lungs = (inside * ~middle).astype(np.float32)
    # rounds the corners that cutting leaves
    lungs = cv2.GaussianBlur(lungs, (0, 0), 0.022 * frame.size) > 0.5
    return np.where(lungs, np.sign(frame.u), 0).astype(np.int8)


def _torso(patient: Patient, frame: _Frame, level: float, rng: np.random.Generator) -> np.ndarray:
    """(size, size) HU of everything but the lungs."""
    size = frame.size
    image = np.full((size, size), AIR, np.float32)
    a, b = patient.body
    shape = frame.ellipse(0, 0.03, a, b, 2.5) ** (1 / 2.5)
    table = np.abs(frame.v - b - 0.08 + 0.12 * frame.u**2) < 0.008
    image[table & (np.abs(frame.u) < 0.8)] = -820
    image[shape < 1] = FAT
    image[shape < 1 - patient.fat / b] = SOFT
    streaks = _noise(rng, size, 14) > 0.8  # fat between the muscles
    image[streaks & (shape < 1) & (shape > 0.8)] = FAT
    image[(shape < 1) & (shape > 1 - 0.02 / b)] = 10  # skin
    u, v, p, q = patient.heart
    image[frame.ellipse(u, v, p, q) < 1] = SOFT
    _draw_bones(image, patient, frame, level, rng)
    return image


def _draw_bones(
    image: np.ndarray, patient: Patient, frame: _Frame, level: float, rng: np.random.Generator
) -> None:
    """Draw ribs, breastbone, shoulder blades and a vertebra into ``image``."""
    for side in (-1, 1):
        angle = rng.uniform(-1.25, -1.05)
        while angle < 1.3:
            span = rng.uniform(0.18, 0.34)
            angles = np.linspace(angle, angle + span, 8)
            arc = 1.075 * _chest_outline(patient, angles if side > 0 else np.pi - angles, level)
            frame.line(image, arc, BONE, 0.042)
            frame.line(image, arc, BONE - 200, 0.014)
            angle += span + rng.uniform(0.10, 0.22)
        if level < 0.5:
            blade = np.array([[side * 0.42, 0.50], [side * 0.56, 0.38], [side * 0.66, 0.18]])
            frame.line(image, blade * np.array(patient.body) / [0.87, 0.65], BONE, 0.03)
    back, front = patient.chest[1], -patient.body[1] + patient.fat + 0.07
    image[frame.ellipse(0, front, 0.11, 0.03) < 1] = BONE - 60
    vertebra = frame.ellipse(0, back - 0.04, 0.125, 0.105)
    image[vertebra < 1] = BONE
    image[vertebra < 0.75] = BONE - 120
    for side in (-1, 1):
        frame.line(
            image, np.array([[side * 0.05, back + 0.07], [side * 0.19, back + 0.1]]), BONE, 0.04
        )
    frame.line(image, np.array([[0, back + 0.11], [0, back + 0.15]]), BONE, 0.035)
    image[frame.ellipse(0, back + 0.09, 0.05, 0.04) < 1] = 20  # spinal canal


def _draw_airways(image: np.ndarray, frame: _Frame, level: float) -> None:
    """Draw the windpipe, or below it the two main bronchi, into ``image``."""
    if level < 0.42:
        image[frame.ellipse(0, 0.02, 0.05, 0.055) < 1] = AIR
    elif level < 0.6:
        for side in (-1, 1):
            image[frame.ellipse(side * (0.3 * level - 0.06), 0.04, 0.04, 0.03) < 1] = AIR


def _vessels(
    patient: Patient, frame: _Frame, lungs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(size, size) opacity of the vessels, trees that branch from both hila."""
    layer = np.zeros(lungs.shape, np.uint8)
    lines, opacities, widths = [], [], []
    for side in (-1, 1):
        spread = np.linspace(-1.2, 1.2, patient.vessels) + rng.normal(0, 0.15, patient.vessels)
        stack = [(side * 0.13, 0.02, angle, rng.uniform(0.018, 0.03), 0) for angle in spread]
        while stack:
            *start, angle, width, depth = stack.pop()
            half = rng.uniform(0.04, 0.085) * 0.93**depth
            bend = angle + rng.normal(0, 0.15)
            points: list[Sequence[float]] = [start]
            for heading in (angle, bend):
                u, v = points[-1]
                points.append((u + half * side * math.cos(heading), v + half * math.sin(heading)))
            lines.append(points)
            opacities.append(50 + 190 * min(1, width / 0.022))
            widths.append(width)
            if depth < 5:
                fork = rng.uniform(0.2, 0.65)
                stack.append((*points[-1], bend + fork, width * 0.72, depth + 1))
                if rng.random() < 0.55:
                    stack.append((*points[-1], bend - fork, width * 0.72, depth + 1))
    frame.lines(layer, np.array(lines), opacities, widths)
    crossing = rng.uniform(-0.7, 0.7, (60, 1, 2)) + [[[0, 0], [0, 0.004]]]
    frame.lines(layer, crossing, [190] * 60, rng.uniform(0.006, 0.018, 60))
    layer = cv2.GaussianBlur(layer, (0, 0), 0.35 * frame.size / 256)
    return np.where(lungs != 0, layer, 0).astype(np.float32) / 255


def _draw_lesions(rng: np.random.Generator, label: int) -> list[Lesion]:
    """Draw the lesions that make the pattern of a class."""
    if label == 0:
        return []

    def lesion(value: int, side: int, **kwargs) -> Lesion:
        first, last = LESION_LEVELS
        return Lesion(
            value=value,
            side=side,
            level=rng.uniform(first + 0.1, last - 0.1),
            extent=rng.uniform(0.6, 0.8),
            seed=int(rng.integers(2**31)),
            **kwargs,
        )

    if label == 1:
        side = int(rng.choice((-1, 1)))
        angle = rng.choice((-1, 1)) * rng.uniform(0.4, 1.2)  # a front or a back segment
        return [
            lesion(
                CONSOLIDATION,
                side,
                angle=angle,
                reach=rng.uniform(0.55, 0.85),
                length=rng.uniform(0.2, 0.36),
                depth=rng.uniform(0.15, 0.25),
                density=rng.uniform(-60, 30),
                core=0,
                rim=rng.uniform(0.15, 0.5) if rng.random() < 0.6 else 0,
            )
        ]
    lesions = []
    for side in (-1, 1):
        first = rng.uniform(-0.7, 0.9)
        for angle in (first, first - np.copysign(rng.uniform(1.1, 1.4), first - 0.1)):
            if angle != first and rng.random() < 0.5:
                continue
            lesions.append(
                lesion(
                    GGO,
                    side,
                    angle=angle,
                    reach=rng.uniform(0.82, 0.95),
                    length=rng.uniform(0.15, 0.27),
                    depth=rng.uniform(0.11, 0.17),
                    density=rng.uniform(-600, -430),
                    rim=0,
                    core=rng.uniform(0.35, 0.55) if rng.random() < 0.4 else 0,
                )
            )
    return lesions


def _add_lesion(
    tissue: np.ndarray,
    mask: np.ndarray,
    lung: np.ndarray,
    lesion: Lesion,
    frame: _Frame,
    level: float,
) -> np.ndarray:
    """Blend a lesion into ``tissue`` (HU) and write its values into ``mask``."""
    section = 1 - ((level - lesion.level) / lesion.extent) ** 2
    if section <= 0 or not lung.any():
        return tissue
    rng = np.random.default_rng(lesion.seed)
    centre, outward = _place(lesion, lung, frame)
    du, dv = frame.u - centre[0], frame.v - centre[1]
    along = (du * outward[1] - dv * outward[0]) / lesion.length
    across = (du * outward[0] + dv * outward[1]) / lesion.depth
    # 1 in the middle, 0 on the edge, negative outside
    inner = np.sqrt(section) - np.sqrt(along**2 + across**2) + 0.1 * _noise(rng, frame.size, 9)
    inner += 0.07 * _noise(rng, frame.size, 24)
    texture = _noise(rng, frame.size, 40)

    def blend(region: np.ndarray, softness: float, density: np.ndarray, value: int) -> None:
        nonlocal tissue
        opacity = np.clip(region / softness + 0.5, 0, 1) * lung
        tissue = tissue + opacity * (density - tissue)
        where = (opacity > 0.5) & (mask != CONSOLIDATION)
        mask[where] = value

    if lesion.value == GGO:
        blend(inner, 0.35, lesion.density + 45 * texture, GGO)
        if lesion.core:
            blend(inner - 1 + lesion.core, 0.12, -40 + 25 * texture, CONSOLIDATION)
    else:
        if lesion.rim:
            blend(inner + lesion.rim, 0.3, -520 + 45 * texture, GGO)
        blend(inner, 0.1, lesion.density + 25 * texture, CONSOLIDATION)
    return tissue


def _place(lesion: Lesion, lung: np.ndarray, frame: _Frame) -> tuple[np.ndarray, np.ndarray]:
    """Centre of a lesion, and the unit vector from there to the pleura."""
    middle = np.array([frame.u[lung].mean(), frame.v[lung].mean()])
    outward = np.array([lesion.side * np.cos(lesion.angle), np.sin(lesion.angle)])
    steps = np.linspace(0, 1.2, 121)
    col, row = frame.pixels(middle + steps[:, None] * outward).T // 16
    within = (col >= 0) & (col < frame.size) & (row >= 0) & (row < frame.size)
    within[within] = lung[row[within], col[within]]
    return middle + lesion.reach * steps[within].max(initial=0) * outward, outward


def _scan(image: np.ndarray, patient: Patient, size: int, rng: np.random.Generator) -> np.ndarray:
    """Blur and noise of a scanner."""
    image = cv2.GaussianBlur(image, (0, 0), 0.6 * size / 256)
    grain = cv2.GaussianBlur(rng.standard_normal((size, size), np.float32), (0, 0), 0.7)
    return image + 2 * patient.noise * grain


def _noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """(size, size) smooth noise of unit variance at ``cells`` cells a side."""
    coarse = rng.standard_normal((cells, cells), np.float32)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
