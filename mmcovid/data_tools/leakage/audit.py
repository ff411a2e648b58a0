"""Find patients and slices that are in more than one split."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.progress import track

from mmcovid.data_tools.slice_names import UNKNOWN
from mmcovid.results import Failure
from mmcovid.utils.parallel import map_files

from .fingerprints import Fingerprint, nearest, num_blocks, similarity, take_fingerprint
from .splits import AuditSplit

#: Kinds of leakage, and ``same_id``, which may be one.
KINDS = ('patient', 'exact', 'near', 'same_id')
MIN_SIMILARITY = 0.86
MAX_DISTANCE = 80  #: bits of the hash in which two slices may differ to be compared at all
NUM_CANDIDATES = 3


class Overlap(NamedTuple):
    """A patient, or a slice of the second split, that is in the first split too."""

    kind: str  #: one of KINDS
    splits: tuple[str, str]  #: names of the two splits
    patients: tuple[str, str]  #: patient id in each
    slices: tuple[str, str]  #: ``img_path`` in each; of a patient, the first
    num_slices: tuple[int, int] = (1, 1)  #: slices of the patient in each
    similarity: float | None = None  #: of the slices, at most 1
    allowed: bool = False

    @property
    def leaks(self) -> bool:
        """Whether it counts against the splits."""
        return self.kind != 'same_id' and not self.allowed


class Audit(NamedTuple):
    """What an audit saw and found."""

    splits: list[AuditSplit]
    compared: list[tuple[str, str]]  #: pairs of names of splits
    findings: list[Overlap]
    unreadable: dict[str, str]  #: error by ``img_path``
    min_similarity: float

    @property
    def leaks(self) -> list[Overlap]:
        """What counts against the splits."""
        return [overlap for overlap in self.findings if overlap.leaks]


def audit_splits(
    splits: Sequence[AuditSplit],
    min_similarity: float = MIN_SIMILARITY,
    shared_ids: bool = False,
    allow: Sequence[str] = (),
    workers: int = 1,
    show_progress: bool = True,
) -> Audit:
    """Compare each split with each other that is used for something else.

    Args:
        splits (Sequence[AuditSplit]): Two or more.
        min_similarity (float): Slices at least so similar are near duplicates.
        shared_ids (bool): Patient ids mean the same patients in all sets. If
            not, an id in two sets is ``same_id``, which is no leakage.
        allow (Sequence[str]): Known findings, see :func:`is_allowed`.
        workers (int): Threads that read and compare slices.
        show_progress (bool): Show progress bars.

    Returns:
        Audit: Of each slice in the later split the most similar one in the
        earlier, so the numbers are those of slices that are not independent.

    Raises:
        ValueError: There is nothing to compare, no slice of a split can be
            read, or ``allow`` names no kind of leakage.
    """
    for entry in allow:
        if entry.partition(':')[0] not in KINDS:
            raise ValueError(
                f'{entry}: no kind of leakage, which are {", ".join(KINDS)}. Write '
                'KIND or KIND:PATTERN.'
            )
    pairs = [pair for pair in combinations(splits, 2) if len(pair[0].roles | pair[1].roles) > 1]
    if not pairs:
        raise ValueError('all slices are of one split: give two or more splits to compare.')
    prints, unreadable = _read_all(splits, workers, show_progress)
    findings = []
    for first, second in pairs:
        same_source = shared_ids or first.source == second.source
        findings += find_patients(first, second, 'patient' if same_source else 'same_id')
        findings += find_duplicates(first, second, prints, min_similarity, workers, show_progress)
    findings = [overlap._replace(allowed=is_allowed(overlap, allow)) for overlap in findings]
    compared = [(first.name, second.name) for first, second in pairs]
    return Audit(list(splits), compared, findings, unreadable, min_similarity)


def find_patients(first: AuditSplit, second: AuditSplit, kind: str) -> list[Overlap]:
    """Patient ids that both splits have."""
    slices, others = _by_patient(first), _by_patient(second)
    return [
        Overlap(
            kind,
            (first.name, second.name),
            (patient, patient),
            (slices[patient][0], others[patient][0]),
            (len(slices[patient]), len(others[patient])),
        )
        for patient in slices
        if patient in others
    ]


def find_duplicates(
    first: AuditSplit,
    second: AuditSplit,
    prints: dict[str, Fingerprint],
    min_similarity: float = MIN_SIMILARITY,
    workers: int = 1,
    show_progress: bool = True,
) -> list[Overlap]:
    """Slices of the second split that are in the first too, exactly or nearly.

    Args:
        first (AuditSplit): One split.
        second (AuditSplit): The other.
        prints (dict[str, Fingerprint]): By ``img_path``; slices without one
            are left out.
        min_similarity (float): See :func:`audit_splits`.
        workers (int): Threads.
        show_progress (bool): Show progress bars.

    Returns:
        list[Overlap]: At most one for each slice of the second split.
    """
    known, others = (
        [info for info in split.slices if info['img_path'] in prints] for split in (first, second)
    )
    by_digest = {prints[info['img_path']].digest: info for info in reversed(known)}
    twins, rest = {}, []
    for info in others:
        twin = by_digest.get(prints[info['img_path']].digest)
        if twin is None:
            rest.append(info)
        else:
            twins[info['img_path']] = 'exact', twin, 1.0

    candidates = _candidates(rest, known, prints, show_progress)
    scores = map_files(
        lambda pair: similarity(*(prints[info['img_path']].thumbnail for info in pair)),
        candidates,
        'comparing',
        workers,
        show_progress,
    )
    for (info, other), score in zip(candidates, scores):
        if score >= max(min_similarity, twins.get(info['img_path'], (0, 0, 0))[2]):
            twins[info['img_path']] = 'near', other, score
    return [
        Overlap(
            kind,
            (first.name, second.name),
            (twin['patient_id'], info['patient_id']),
            (twin['img_path'], info['img_path']),
            similarity=score,
        )
        for info in others
        if info['img_path'] in twins
        for kind, twin, score in [twins[info['img_path']]]
    ]


def is_allowed(overlap: Overlap, allow: Sequence[str]) -> bool:
    """Whether a finding is known and accepted.

    Args:
        overlap (Overlap): What was found.
        allow (Sequence[str]): ``KIND`` or ``KIND:PATTERN``: all findings of a
            kind, or those whose patient id or file name is like the pattern
            (with ``*`` and ``?``).
    """
    names = [*overlap.patients, *overlap.slices, *(Path(path).name for path in overlap.slices)]
    for entry in allow:
        kind, _, pattern = entry.partition(':')
        if kind == overlap.kind and any(fnmatchcase(name, pattern or '*') for name in names):
            return True
    return False


def _read_all(
    splits: Sequence[AuditSplit], workers: int, show_progress: bool
) -> tuple[dict[str, Fingerprint], dict[str, str]]:
    """Fingerprints, and errors, of the slices of all splits, by ``img_path``."""
    infos = {info['img_path']: info for split in splits for info in split.slices}
    results = map_files(
        take_fingerprint, list(infos.values()), 'reading slices', workers, show_progress
    )
    prints = {
        path: result for path, result in zip(infos, results) if isinstance(result, Fingerprint)
    }
    for split in splits:
        if not any(info['img_path'] in prints for info in split.slices):
            example = split.slices[0]['img_path'] if split.slices else 'it is empty'
            raise ValueError(
                f'{split.name}: not one of its {len(split.slices)} slices can be '
                f'read ({example}). Correct the image folder.'
            )
    return prints, {
        result.input: result.reason for result in results if isinstance(result, Failure)
    }


def _candidates(
    queries: list[dict], known: list[dict], prints: dict[str, Fingerprint], show_progress: bool
) -> list[tuple[dict, dict]]:
    """Pairs of slices whose hashes are near, the nearest few for each query."""
    if not queries:
        return []
    bits, known_bits = (
        np.stack([prints[info['img_path']].bits for info in infos]) for infos in (queries, known)
    )
    blocks = track(
        nearest(bits, known_bits, NUM_CANDIDATES),
        total=num_blocks(len(queries)),
        description='searching',
        disable=not show_progress,
    )
    pairs, query = [], iter(queries)
    for distances, rows in blocks:
        for near, row in zip(distances <= MAX_DISTANCE, rows):
            info = next(query)
            pairs += [(info, known[number]) for number in row[near]]
    return pairs


def _by_patient(split: AuditSplit) -> dict[str, list[str]]:
    """Image paths by patient; slices of unknown patients are left out."""
    paths: dict[str, list[str]] = {}
    for info in split.slices:
        patient = info.get('patient_id', UNKNOWN)
        if patient != UNKNOWN:
            paths.setdefault(patient, []).append(info['img_path'])
    return paths
