import logging
import os
from collections.abc import Iterator, Sequence

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path
from mmengine.logging import print_log
from mmengine.utils import is_abs

from mmcovid.registry import DATASETS

from .files import find_missing, name_some
from .slice_names import IMAGE_CLASSES, parse_slice_name

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg')


@DATASETS.register_module()
class SliceDataset(BaseDataset):
    """CT slices, each labelled with the class of the whole slice.

    Reads COVIDx-CT list files as published, lines of ``filename class xmin
    ymin xmax ymax`` (the box is optional and not used: the model sees whole
    slices). Without ``ann_file`` it takes all images of the folder
    ``data_prefix['img']`` and the class from their names, see
    :func:`~mmcovid.datasets.slice_names.parse_slice_name`.

    All files are looked for when the dataset is loaded, so that a missing one
    is known before training starts.

    Args:
        ann_file (str or Sequence[str]): List file or files. Defaults to '',
            which reads the folder.
        data_prefix (dict): ``img`` is the folder that the names in the lists
            refer to. Defaults to ``dict(img='')``.
        skip_missing (bool): Leave missing images out with a warning that
            counts them, instead of raising. Defaults to False.
        **kwargs: Those of :class:`mmengine.dataset.BaseDataset`.

    Raises:
        FileNotFoundError: A list file, the folder or an image is missing.
        ValueError: A line or a file name cannot be read, or an image is
            listed twice.
    """

    METAINFO = dict(classes=IMAGE_CLASSES, image_classes=IMAGE_CLASSES)
    TASK = 'cls'

    def __init__(self,
                 ann_file: str | Sequence[str] = '',
                 *args,
                 data_prefix: dict = dict(img=''),  # noqa: B006 (copied by the parent)
                 skip_missing: bool = False,
                 **kwargs) -> None:
        self.skip_missing = skip_missing
        super().__init__(ann_file, *args, data_prefix=data_prefix, **kwargs)

    def _join_prefix(self) -> None:
        """Also join ``data_root`` with each of several list files."""
        files = self.ann_file or []
        self.ann_file = ''  # the parent joins a single one only
        super()._join_prefix()
        self.ann_file = [
            file if is_abs(file) or not self.data_root else join_path(self.data_root, file)
            for file in ([files] if isinstance(files, str) else files)
        ]

    def load_data_list(self) -> list[dict]:
        """Collect the slices of all lists, or of the folder.

        Returns:
            list[dict]: One dict per slice with ``img_path``, ``img_id`` (the
            name in the list, unique), ``task`` ('cls'), ``gt_label`` (int),
            ``patient_id`` and ``scan_id``.
        """
        labels = dict(self._read_lists() if self.ann_file else self._read_folder())
        data_list = []
        for name, label in labels.items():
            parts = parse_slice_name(name)
            data_list.append(
                dict(
                    img_path=join_path(self.data_prefix['img'], name),
                    img_id=name,
                    task=self.TASK,
                    gt_label=label,
                    patient_id=parts.patient_id,
                    scan_id=parts.scan_id))
        return self._without_missing(data_list)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class of slice ``idx``, in a list as ``ClassBalancedDataset`` wants it."""
        return [self.get_data_info(idx)['gt_label']]

    def _read_lists(self) -> Iterator[tuple[str, int]]:
        """Yield name and label of each line of the list files."""
        seen = {}
        num_classes = len(self.metainfo['classes'])
        for file in self.ann_file:
            if not os.path.isfile(file):
                raise FileNotFoundError(
                    f'{file}: no such list of slices. Correct `ann_file`, or leave it out to '
                    'read the classes off the file names.')
            with open(file, encoding='utf-8') as lines:
                for number, line in enumerate(lines, 1):
                    if not line.strip():
                        continue
                    place = f'{file}, line {number}'
                    name, label = _parse_line(line, place, num_classes)
                    if name in seen:
                        raise ValueError(
                            f'{place}: {name} was already listed in {seen[name]}. Remove one of '
                            'the two lines.')
                    seen[name] = place
                    yield name, label

    def _read_folder(self) -> Iterator[tuple[str, int]]:
        """Yield name and label of each image in the folder, by name."""
        folder = self.data_prefix['img']
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                f'{folder}: no such folder of slices. Correct `data_prefix` or `data_root`.')
        labels = {
            name: parse_slice_name(name).label
            for name in sorted(os.listdir(folder)) if name.lower().endswith(IMAGE_SUFFIXES)
        }
        nameless = [name for name, label in labels.items() if label is None]
        if nameless:
            raise ValueError(
                f'{folder}: file names that tell no class, {name_some(nameless)}. Name slices '
                '<class>_<patient>_<scan>_<slice>.png with the class as 0, 1, 2 or Normal, CP, '
                'NCP, or give a list of classes as `ann_file`.')
        yield from labels.items()

    def _without_missing(self, data_list: list[dict]) -> list[dict]:
        """Raise if an image is missing, or leave those out if told to."""
        source = ', '.join(self.ann_file) or self.data_prefix['img']
        missing = find_missing([info['img_path'] for info in data_list])
        if missing:
            message = f'{source}: missing images, {name_some(missing)}.'
            if not self.skip_missing:
                raise FileNotFoundError(
                    f'{message} Correct `data_prefix` or `data_root`, or set `skip_missing=True` '
                    'to go on without them.')
            print_log(f'{message} They are skipped.', logger='current', level=logging.WARNING)
            gone = set(missing)
            data_list = [info for info in data_list if info['img_path'] not in gone]
        if not data_list:
            raise FileNotFoundError(
                f'{source}: not one slice found. Correct `ann_file`, `data_prefix` or `data_root`.')
        return data_list


def _parse_line(line: str, place: str, num_classes: int) -> tuple[str, int]:
    """Split one line of a COVIDx-CT list into file name and label."""
    name, *numbers = line.split()
    try:
        label, *box = map(int, numbers)
        if not 0 <= label < num_classes or len(box) not in (0, 4):
            raise ValueError
    except ValueError:
        raise ValueError(
            f'{place}: {line.strip()!r} is not "filename class [xmin ymin xmax ymax]" with a '
            f'class from 0 to {num_classes - 1} and whole numbers. Correct the line.') from None
    return name, label
