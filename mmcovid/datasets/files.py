"""Checks that image files are in place before hours of training start, and what sets share."""
import logging
import os
from collections.abc import Iterator, Sequence

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path
from mmengine.logging import print_log
from mmengine.utils import is_abs

from mmcovid.ct import SlicePath
from mmcovid.utils.files import name_some


def find_missing(paths: Sequence[str]) -> list[str]:
    """Return those of ``paths`` that are no files nor slices of a volume, in their order.

    Each folder is listed once, which takes seconds where one look-up per file
    takes minutes (61,037 training slices on a network drive).
    """
    places = [os.path.split(path) for path in paths]
    present = set()
    for folder in {folder for folder, _ in places}:
        if os.path.isdir(folder or '.'):
            with os.scandir(folder or '.') as entries:
                present.update((folder, entry.name) for entry in entries if entry.is_file())
    return [path for path, place in zip(paths, places)
            if place not in present and not ('#' in path and SlicePath.parse(path).exists())]


def leaves(dataset) -> Iterator[BaseDataset]:
    """The datasets inside wrappers such as TwoTaskDataset or RepeatDataset."""
    inner = getattr(dataset, 'datasets', None) or getattr(dataset, 'dataset', None)
    if inner is None:
        yield dataset
    else:
        for each in inner if isinstance(inner, (list, tuple)) else [inner]:
            yield from leaves(each)


def check_inside(dataset: BaseDataset, data_list: list[dict]) -> list[dict]:
    """Make sure that no list names a file outside the folder of the images.

    A list from elsewhere could otherwise have any file of the machine read. Without a folder,
    ``data_prefix['img']``, there is nothing to leave; links in the folder may lead where they like.

    Args:
        dataset (BaseDataset): With ``data_prefix``.
        data_list (list[dict]): Slices with their ``img_path``.

    Returns:
        list[dict]: ``data_list``.

    Raises:
        ValueError: A path leaves the folder.
    """
    folder = dataset.data_prefix['img']
    root = os.path.join(os.path.abspath(folder), '')
    outside = [info['img_path'] for info in data_list
               if not os.path.abspath(info['img_path']).startswith(root)] if folder else []
    if outside:
        raise ValueError(
            f'paths that leave {folder}, {name_some(outside)}. Correct the list or, if you trust '
            "it, set `data_prefix=dict(img='')` and no `data_root`, and list whole paths.")
    return data_list


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
            'tools/misc/verify_dataset.py, or correct `skip_list`.')
    with open(skip_list, encoding='utf-8') as lines:
        names = [line.strip() for line in lines if line.strip() and line[0] != '#']
    skipped = {join_path(dataset.data_prefix['img'], name) for name in names}
    kept = [info for info in data_list if info['img_path'] not in skipped]
    print_log(
        f'{skip_list}: {len(data_list) - len(kept)} of {len(data_list)} slices are left out.',
        logger='current', level=logging.WARNING)
    return kept
