"""What the datasets share."""

import logging
import os
from collections.abc import Iterator, Sequence

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path
from mmengine.logging import print_log
from mmengine.utils import is_abs

from mmcovid.data_tools.annotation_checks import ANNOTATION_ERRORS, AnnotationProblem
from mmcovid.utils.files import name_some


def leaves(dataset) -> Iterator[BaseDataset]:
    """The datasets inside wrappers such as TwoTaskDataset or RepeatDataset."""
    inner = getattr(dataset, 'datasets', None) or getattr(dataset, 'dataset', None)
    if inner is None:
        yield dataset
    else:
        for each in inner if isinstance(inner, (list, tuple)) else [inner]:
            yield from leaves(each)


def stop_at(source: str, problems: Sequence[AnnotationProblem]) -> None:
    """Stop at annotations that cannot be trained on, and warn of what may be meant so.

    Args:
        source (str): Their file or files.
        problems (Sequence[AnnotationProblem]): What is the matter with them.

    Raises:
        ValueError: There is an error among the problems.
    """
    errors = [str(each) for each in problems if each.problem in ANNOTATION_ERRORS]
    if errors:
        raise ValueError(
            f'{source}: annotations that cannot be used, {name_some(errors)}. Correct them or '
            'convert the set again; single slices can be left out by `skip_list`.'
        )
    for each in problems:
        print_log(
            f'{source}: {each}. Correct the list, unless that is meant.',
            logger='current',
            level=logging.WARNING,
        )


def read_skip_list(dataset: BaseDataset, skip_list: str) -> set[str]:
    """Names of the slices to leave out of a dataset.

    Args:
        dataset (BaseDataset): To find the list: ``data_root``.
        skip_list (str): Text file with one file name per line, as in the
            annotations; lines that begin with ``#`` are comments. Empty for no list.

    Raises:
        FileNotFoundError: There is no such list.
    """
    if not skip_list:
        return set()
    path = _path_of(dataset, skip_list)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'{path}: no such list of slices to skip. Write it with '
            'mmcovid verify, or correct `skip_list`.'
        )
    with open(path, encoding='utf-8', errors='backslashreplace') as lines:
        return {line.strip() for line in lines if line.strip() and line[0] != '#'}


def leave_out(dataset: BaseDataset, data_list: list[dict], skip_list: str) -> list[dict]:
    """Take the slices of a skip list out of a dataset, and say how many they were.

    Args:
        dataset (BaseDataset): To find the list and the images: ``data_root`` and
            ``data_prefix``.
        data_list (list[dict]): Slices with their ``img_path``.
        skip_list (str): As for :func:`read_skip_list`. Names that are not in this set are
            ignored.

    Raises:
        FileNotFoundError: There is no such list.
    """
    if not skip_list:
        return data_list
    names = read_skip_list(dataset, skip_list)
    skipped = {join_path(dataset.data_prefix['img'], name) for name in names}
    kept = [info for info in data_list if info['img_path'] not in skipped]
    print_log(
        f'{_path_of(dataset, skip_list)}: {len(data_list) - len(kept)} of {len(data_list)} slices '
        'are left out.',
        logger='current',
        level=logging.WARNING,
    )
    return kept


def _path_of(dataset: BaseDataset, skip_list: str) -> str:
    whole = is_abs(skip_list) or not dataset.data_root
    return skip_list if whole else join_path(dataset.data_root, skip_list)
