"""What the datasets share."""

import logging
import os
from collections.abc import Iterator

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path
from mmengine.logging import print_log
from mmengine.utils import is_abs


def leaves(dataset) -> Iterator[BaseDataset]:
    """The datasets inside wrappers such as TwoTaskDataset or RepeatDataset."""
    inner = getattr(dataset, 'datasets', None) or getattr(dataset, 'dataset', None)
    if inner is None:
        yield dataset
    else:
        for each in inner if isinstance(inner, (list, tuple)) else [inner]:
            yield from leaves(each)


def leave_out(dataset: BaseDataset, data_list: list[dict], skip_list: str) -> list[dict]:
    """Take the slices of a skip list out of a dataset, and say how many they were.

    Args:
        dataset (BaseDataset): To find the list and the images: ``data_root`` and
            ``data_prefix``.
        data_list (list[dict]): Slices with their ``img_path``.
        skip_list (str): Text file with one file name per line, as in the
            annotations; lines that begin with ``#`` are comments. Names that are
            not in this set are ignored. Empty for no list.

    Raises:
        FileNotFoundError: There is no such list.
    """
    if not skip_list:
        return data_list
    if dataset.data_root and not is_abs(skip_list):
        skip_list = join_path(dataset.data_root, skip_list)
    if not os.path.isfile(skip_list):
        raise FileNotFoundError(
            f'{skip_list}: no such list of slices to skip. Write it with '
            'mmcovid verify, or correct `skip_list`.'
        )
    with open(skip_list, encoding='utf-8') as lines:
        names = [line.strip() for line in lines if line.strip() and line[0] != '#']
    skipped = {join_path(dataset.data_prefix['img'], name) for name in names}
    kept = [info for info in data_list if info['img_path'] not in skipped]
    print_log(
        f'{skip_list}: {len(data_list) - len(kept)} of {len(data_list)} slices are left out.',
        logger='current',
        level=logging.WARNING,
    )
    return kept
