"""Predictions that were dumped, or scores of another model as a table, read and checked."""

import hashlib
import io
import pickle
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmcovid.classes import IMAGE_CLASSES, Classes
from mmcovid.statistics.calibration import image_scores, log_scores, sharpen
from mmcovid.statistics.classification import Cases
from mmcovid.statistics.clusters import cluster_names
from mmcovid.utils.files import name_some, read_table, sha256

AGAIN = 'Dump it again with mmcovid test --out'
#: Columns of a table of scores beside those of the classes; the first two are needed.
COLUMNS = ('img_id', 'class', 'patient_id', 'scan_id', 'img_path')
#: How far from 1 the scores of a slice may add up to, as tables have few digits.
_ROUNDED = 0.01


@dataclass(frozen=True)
class Dump:
    """What one test run predicted."""

    path: str
    sha256: str
    classes: Classes
    slices: list[dict]  #: class-labelled slices, as they were dumped
    lesions: list[dict]  #: slices with true lesions, as they were dumped
    left_out: dict[str, int]  #: number of entries that cannot be scored, by reason
    #: scores from logits at a temperature
    scores_at: Callable[[np.ndarray, float], np.ndarray] = image_scores

    def ids(self) -> list[str]:
        """Names of the class-labelled slices."""
        return [str(entry['img_id']) for entry in self.slices]

    def paths(self) -> dict[str, str]:
        """Image of each class-labelled slice by its name; '' if the dump does not tell."""
        return {str(entry['img_id']): entry.get('img_path') or '' for entry in self.slices}

    def logits(self) -> np.ndarray:
        """Image logits of the class-labelled slices, (n, K)."""
        lacking = [entry['img_id'] for entry in self.slices if entry.get('pred_logits') is None]
        if lacking:
            raise ValueError(
                f'{self.path}: slices without pred_logits, {name_some(lacking)}. '
                f'{AGAIN}; the model must give them'
            )
        return np.array([_numbers(entry['pred_logits']) for entry in self.slices])

    def truth(self) -> np.ndarray:
        """True labels of the class-labelled slices, (n,)."""
        return np.array([_label(entry['gt_label']) for entry in self.slices])


#: A model or several training runs of it, by name.
Models = dict[str, list[Dump]]


class _Unpickler(pickle.Unpickler):
    """Reads tensors, arrays and plain values; a pickle that could run code is refused."""

    ALLOWED = {
        ('collections', 'OrderedDict'),
        ('torch._utils', '_rebuild_tensor_v2'),
        ('torch._utils', '_rebuild_parameter'),
        ('torch', 'Size'),
        ('torch', 'device'),
        ('numpy', 'dtype'),
        ('numpy', 'ndarray'),
        ('_codecs', 'encode'),
        *(
            (f'numpy.{core}.multiarray', name)
            for core in ('core', '_core')
            for name in ('_reconstruct', 'scalar')
        ),
        *((f'numpy.{core}.numeric', '_frombuffer') for core in ('core', '_core')),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ('torch.storage', '_load_from_bytes'):
            return _load_storage
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f'it holds {module}.{name}, which could run code')
        return super().find_class(module, name)


def _load_storage(data: bytes) -> Any:
    import torch  # only dumps with tensors need it

    return torch.load(io.BytesIO(data), weights_only=True)


def load_dump(path: str | Path) -> Dump:
    """Read predictions that ``mmcovid test --out`` dumped, or a table of scores.

    Args:
        path (str | Path): Pickle file, or CSV file as :func:`load_table` reads it.

    Returns:
        Dump: The predictions.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file, lists a slice twice, or has a prediction that is not
            finite.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file. Make it with mmcovid test --out {path}')
    if path.suffix.lower() == '.csv':
        return load_table(path)
    data = path.read_bytes()
    try:
        entries = _Unpickler(io.BytesIO(data)).load()
    except Exception as error:  # a damaged pickle raises almost anything
        raise ValueError(f'{path} holds no dumped predictions ({error}). {AGAIN}') from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f'{path} holds no list of predictions. {AGAIN}')

    slices, lesions = [], []
    left_out: dict[str, int] = {}
    for entry in entries:
        if entry.get('gt_label') is not None and entry.get('pred_score') is not None:
            slices.append(entry)
        elif 'instances' in entry and 'pred_instances' in entry:
            lesions.append(entry)
        else:
            reason = (
                'slices of the lesion set without their true lesions'
                if entry.get('task') == 'seg'
                else 'slices without class label or score'
            )
            left_out[reason] = left_out.get(reason, 0) + 1
    if not slices and not lesions:
        raise ValueError(
            f'{path}: not one of its {len(entries)} predictions has a truth to '
            f'compare with. {AGAIN}'
        )
    classes = _read_classes((slices or lesions)[0], path)
    dump = Dump(str(path), hashlib.sha256(data).hexdigest(), classes, slices, lesions, left_out)
    for entry in slices:
        _check_slice(entry, dump)
    for group in (slices, lesions):
        _refuse_repeats(path, [str(entry.get('img_id')) for entry in group])
    return dump


def load_table(path: Path) -> Dump:
    """Read class scores of slices, of any model.

    Args:
        path (Path): CSV file with the columns ``img_id`` and ``class`` (the true one), one for each
            class with its score, and, if they are known, ``patient_id``, ``scan_id`` and
            ``img_path``.

    Returns:
        Dump: Scores add up to 1. Their logarithms stand for the logits.

    Raises:
        ValueError: It is no such file, a score is none, or a slice is in it twice.
    """
    named, rows = read_table(path)
    names = tuple(column for column in named if column not in COLUMNS)
    if len(set(named)) < len(named) or not set(COLUMNS[:2]) <= set(named) or len(names) < 2:
        raise ValueError(
            f'{path}: needs a line of columns, {", ".join(COLUMNS[:2])} and one for the score of '
            f'each class, and if they are known {", ".join(COLUMNS[2:])}; it has {", ".join(named)}'
        )
    if not rows:
        raise ValueError(f'{path}: has no slice. Write a line for each')
    if set(names) == set(IMAGE_CLASSES):
        names = IMAGE_CLASSES  # in the order of other models
    classes = Classes.of(images=names)
    slices = [_read_row(row, classes, f'{path}: line {line}') for line, row in rows]
    _refuse_repeats(path, [entry['img_id'] for entry in slices])
    return Dump(str(path), sha256(path), classes, slices, [], {}, scores_at=sharpen)


def _read_row(row: dict[str, str], classes: Classes, place: str) -> dict[str, Any]:
    """A line of a table as :func:`load_dump` reads a slice."""
    names = classes.image_names
    if None in row or None in row.values() or not row['img_id']:
        raise ValueError(f'{place} has fewer or more values than columns, or no img_id')
    if row['class'] not in names:
        raise ValueError(f'{place}: class {row["class"]!r} must be one of {", ".join(names)}')
    try:
        scores = np.array([float(row[name]) for name in names])
    except ValueError as error:
        raise ValueError(f'{place}: a score is no number ({error})') from error
    if not ((scores >= 0) & (scores <= 1)).all() or abs(scores.sum() - 1) > _ROUNDED:
        raise ValueError(f'{place}: scores must be of 0 to 1 and add up to 1; write probabilities')
    scores /= scores.sum()
    return dict(
        {key: row[key] for key in COLUMNS if row.get(key) and key != 'class'},
        gt_label=names.index(row['class']),
        pred_label=int(scores.argmax()),
        pred_score=scores,
        pred_logits=log_scores(scores),
    )


def _read_classes(entry: dict, path: Path) -> Classes:
    """Classes that a dumped slice tells; what it does not tell is as usual."""
    try:
        return Classes.from_meta(
            dict(
                classes=entry.get('lesion_classes') or None,
                image_classes=entry.get('image_classes') or None,
                **{key: entry.get(key) for key in ('palette', 'display_names', 'roles')},
            )
        )
    except ValueError as error:
        raise ValueError(f'{path}: {error}. {AGAIN}') from error


def _check_slice(entry: dict, dump: Dump) -> None:
    scores = _numbers(entry['pred_score'])
    place = f'{dump.path}: {entry.get("img_path", entry.get("img_id"))}'
    names = dump.classes.image_names
    if len(scores) != len(names):
        raise ValueError(f'{place} has {len(scores)} scores for the classes {names}. {AGAIN}')
    if not np.isfinite(scores).all():
        raise ValueError(f'{place}: its scores are not finite: the weights have probably diverged')
    for key in ('gt_label', 'pred_label'):
        if key not in entry or _label(entry[key]) not in range(len(names)):
            raise ValueError(f'{place}: {key} must be one of 0..{len(names) - 1}. {AGAIN}')


def _refuse_repeats(path: Path, ids: list[str]) -> None:
    repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
    if repeated:
        raise ValueError(f'{path}: slices that occur twice, {name_some(repeated)}. {AGAIN}')


def load_models(items: Sequence[str]) -> Models:
    """Read predictions, given as ``FILE`` or ``NAME=FILE``.

    Args:
        items (Sequence[str]): Files; those of one name are training runs of one model. Without a
            name, the file's name without suffix is taken.

    Returns:
        Models: Predictions by name, in their order.

    Raises:
        ValueError: If two files without names have the same file name.
    """
    models: Models = {}
    unnamed = set()
    for item in items:
        name, equals, path = item.partition('=')
        if not equals or Path(item).is_file():
            name, path = Path(item).stem, item
            if name in unnamed or name in models:
                raise ValueError(
                    f'{item}: there is a file named {name} already. Name the models: NAME=FILE'
                )
            unnamed.add(name)
        models.setdefault(name, []).append(load_dump(path))
    return models


def load_validation(models: Models, paths: Sequence[str]) -> Models:
    """Read validation predictions, one file for each file of ``models``, in the same order.

    Raises:
        ValueError: If they are not as many.
    """
    runs = [name for name, dumps in models.items() for _ in dumps]
    if len(paths) != len(runs):
        raise ValueError(
            f'{len(paths)} validation files for {len(runs)} files of predictions: '
            f'give one for each, in the order {", ".join(runs)}'
        )
    validation: Models = {name: [] for name in models}
    for name, path in zip(runs, paths):
        validation[name].append(load_dump(path))
    return validation


def check_same_slices(dumps: Sequence[Dump]) -> None:
    """Make sure that models are compared on the same slices with the same truth.

    A model that only classifies, or only segments, may stand beside one that does both.

    Args:
        dumps (Sequence[Dump]): Predictions.

    Raises:
        ValueError: If a dump lacks slices of the first one, has others, or has another truth.
    """
    for kind in ('slices', 'lesions'):
        able = [dump for dump in dumps if getattr(dump, kind)]
        if not able:
            continue
        reference = able[0]
        truth = {str(e['img_id']): _truth_of(e, kind) for e in getattr(reference, kind)}
        for dump in able[1:]:
            other = {str(e['img_id']): _truth_of(e, kind) for e in getattr(dump, kind)}
            if _names(dump.classes, kind) != _names(reference.classes, kind):
                raise ValueError(
                    f'{dump.path} has other classes than {reference.path}: give '
                    'predictions of the same test set'
                )
            apart = sorted(truth.keys() ^ other.keys())
            if apart:
                raise ValueError(
                    f'slices that only one of {reference.path} and {dump.path} has, '
                    f'{name_some(apart)}: give predictions of the same test set'
                )
            differing = sorted(name for name in truth if truth[name] != other[name])
            if differing:
                raise ValueError(
                    f'{reference.path} and {dump.path} disagree on the truth of '
                    f'{name_some(differing)}: test both on the same labels'
                )


def _names(classes: Classes, kind: str) -> tuple[str, ...]:
    """What has to agree between models; how classes are drawn and called need not."""
    return classes.image_names if kind == 'slices' else classes.lesion_names


def _truth_of(entry: dict, kind: str) -> Any:
    if kind == 'slices':
        return _label(entry['gt_label'])
    return sorted((item['bbox_label'], tuple(item['bbox'])) for item in entry['instances'])


def slice_cases(dump: Dump, order: dict[str, int], clusters: dict[str, int]) -> Cases:
    """Class-labelled slices as arrays.

    Args:
        dump (Dump): The predictions.
        order (dict[str, int]): Position of each slice, by ``img_id``.
        clusters (dict[str, int]): Index of each patient.

    Returns:
        Cases: One case per slice.
    """
    entries = sorted(dump.slices, key=lambda entry: order[str(entry['img_id'])])
    names, _ = cluster_names(entries)
    return Cases(
        ids=np.array([str(entry['img_id']) for entry in entries]),
        truth=np.array([_label(entry['gt_label']) for entry in entries]),
        pred=np.array([_label(entry['pred_label']) for entry in entries]),
        scores=np.array([_numbers(entry['pred_score']) for entry in entries]),
        cluster=np.array([clusters[name] for name in names]),
    )


def check_apart(validation: Dump, test: Dump) -> None:
    """Make sure that no slice or patient of the validation set is in the test set.

    Raises:
        ValueError: If there is one: a temperature fitted on it would flatter the calibration.
    """
    shared = sorted(set(validation.ids()) & set(test.ids()))
    what = 'slices'
    if not shared:
        patients = [{name for name in cluster_names(dump.slices)[0]} for dump in (validation, test)]
        shared, what = sorted(patients[0] & patients[1]), 'patients'
    if shared:
        raise ValueError(
            f'{validation.path} and {test.path} share {what}, {name_some(shared)}: '
            'calibrate on a validation set with other patients'
        )


def _numbers(value: Any) -> np.ndarray:
    """``value`` (tensor, array, list or number) as a flat array of floats."""
    if hasattr(value, 'detach'):  # a tensor; numpy has no bfloat16
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=float).ravel()


def _label(value: Any) -> int:
    numbers = _numbers(value)
    return int(numbers[0]) if len(numbers) == 1 and np.isfinite(numbers[0]) else -1
