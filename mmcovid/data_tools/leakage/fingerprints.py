"""What makes a slice known again: its pixels, a perceptual hash and a thumbnail.

All CT slices of a chest look alike: a perceptual hash finds the few slices that
may be the same, and only the fine detail of both, laid over each other, tells.
"""

import hashlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import imagehash
import numpy as np
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from mmcovid.ct import read_grey
from mmcovid.results import Failure

HASH_SIZE = 16  #: the hash has this squared bits
THUMBNAIL = 128  #: side of a thumbnail, pixels
BLOCK = 4096  #: queries that are searched at once
_ECC = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 1e-3


class Fingerprint(NamedTuple):
    """Of one slice."""

    digest: bytes  #: hash of the decoded grey values
    bits: np.ndarray  #: (HASH_SIZE²,) bool, the perceptual hash
    thumbnail: np.ndarray  #: (THUMBNAIL, THUMBNAIL) uint8, its values stretched to 0..255


def take_fingerprint(info: dict) -> Fingerprint | Failure:
    """The fingerprint of a slice, or why it cannot be read."""
    try:
        image = read_grey(info['img_path'])
    except Exception as error:  # whatever a broken file does, the others go on
        return Failure(info['img_path'], f'{type(error).__name__}: {error}')
    digest = hashlib.blake2b(image.tobytes(), digest_size=16, key=str(image.shape).encode())
    small = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    small = cv2.normalize(small, small, 0, 255, cv2.NORM_MINMAX).round().astype(np.uint8)
    bits = imagehash.phash(Image.fromarray(small), hash_size=HASH_SIZE).hash.ravel()
    return Fingerprint(digest.digest(), bits, small)


def num_blocks(num_queries: int) -> int:
    """How many blocks :func:`nearest` makes of so many queries."""
    return math.ceil(num_queries / BLOCK)


def nearest(
    queries: np.ndarray, known: np.ndarray, number: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The ``number`` rows of ``known`` nearest to each query, in blocks of queries.

    Args:
        queries (np.ndarray): (Q, B) bits.
        known (np.ndarray): (K, B) bits.
        number (int): How many to find.

    Yields:
        tuple[np.ndarray, np.ndarray]: Hamming distances and row numbers, both
        (at most BLOCK, number).
    """
    # between bits the squared Euclidean distance is the Hamming distance, and is much faster
    search = NearestNeighbors(
        n_neighbors=min(number, len(known)), algorithm='brute', metric='sqeuclidean'
    )
    search.fit(known.astype(np.float32))
    for start in range(0, len(queries), BLOCK):
        yield search.kneighbors(queries[start : start + BLOCK].astype(np.float32))


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """How far the detail of two slices is the same, -1 to 1.

    The second is laid over the first by an affine transform. What finer
    detail (vessels, fissures, texture) they then have in common is their
    correlation without the coarse structure, which all chests share. So
    brightness, contrast, size and a cropped margin do not count.

    Args:
        first (np.ndarray): (THUMBNAIL, THUMBNAIL) uint8.
        second (np.ndarray): The same.
    """
    warp = _find_warp(first, second)
    if warp is None:
        return 0.0
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    inside = cv2.warpAffine(np.full_like(second, 255), warp, second.shape, flags=flags) == 255
    if inside.mean() < 0.5:  # hardly on each other: no transform that a copy goes through
        return 0.0
    second = cv2.warpAffine(
        second, warp, second.shape, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    details = [
        _detail(cv2.GaussianBlur(image, (0, 0), 0.7), 1.5)[inside] for image in (first, second)
    ]
    if min(np.ptp(detail) for detail in details) == 0:
        return 0.0
    return float(np.corrcoef(details)[0, 1])


def _find_warp(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """The affine transform (2, 3) from pixels of ``first`` to those of ``second``, if any."""
    scale = 2  # at half the size, larger shifts are found, and faster
    half, other_half = (
        _detail(
            cv2.resize(image, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA), 4
        )
        for image in (first, second)
    )
    try:
        _, warp = cv2.findTransformECC(
            half,
            other_half,
            np.eye(2, 3, dtype=np.float32),
            cv2.MOTION_AFFINE,
            _ECC,
            np.ones(other_half.shape, np.uint8),
            5,
        )
    except cv2.error:  # does not converge: nothing in common
        return None
    # the centre of pixel 0 of a half lies between two pixels of the whole
    warp[:, 2] = scale * warp[:, 2] + (warp[:, :2].sum(1) - 1) * (scale - 1) / 2
    return warp


def _detail(image: np.ndarray, size: float) -> np.ndarray:
    """What is finer than ``size`` pixels, at a contrast that is even over the image."""
    image = image.astype(np.float32)
    image -= cv2.GaussianBlur(image, (0, 0), size)
    spread = np.sqrt(cv2.GaussianBlur(image**2, (0, 0), 2 * size))
    return image / (spread + 8)
