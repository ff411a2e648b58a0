import logging
import os
from collections.abc import Sequence

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path
from mmengine.logging import print_log
from mmengine.utils import is_abs

from mmcovid.classes import IMAGE_CLASSES
from mmcovid.ct import InputKind, is_picture, kind_of
from mmcovid.data_tools.annotation_checks import check_slices
from mmcovid.data_tools.image_files import check_inside, find_missing
from mmcovid.data_tools.slice_lists import (
    SliceEntry,
    check_unique,
    entry_of,
    read_slices,
    sample_balanced,
)
from mmcovid.data_tools.slice_names import parse_slice_name
from mmcovid.registry import DATASETS
from mmcovid.utils.files import name_some

from .files import leave_out, stop_at


@DATASETS.register_module()
class SliceDataset(BaseDataset):
    """CT slices, each labelled with the class of the whole slice.

    Reads the JSON of the converters, ``mmcovid convert covidx-ct``
    and ``ictcf.py``, or COVIDx-CT list files as published, lines of ``filename
    class xmin ymin xmax ymax`` (the box is optional and not used: the model
    sees whole slices). Without ``ann_file`` it takes all images of the folder
    ``data_prefix['img']`` and the class from their names, see
    :func:`~mmcovid.data_tools.slice_names.parse_slice_name`.

    All files are looked for when the dataset is loaded, so that a missing one
    is known before training starts.

    Args:
        ann_file (str or Sequence[str]): List file or files, JSON by the suffix
            ``.json``. Defaults to '', which reads the folder.
        data_prefix (dict): ``img`` is the folder that the names in the lists
            refer to. Defaults to ``dict(img='')``.
        skip_missing (bool): Leave missing images out with a warning that
            counts them, instead of raising. Defaults to False.
        skip_list (str): Text file of slices to leave out, below ``data_root``,
            as ``mmcovid verify`` writes it. Defaults to '', none.
        per_class (int, optional): Take this many slices of each class, from as
            many patients as there are, always the same ones: see
            :func:`~mmcovid.data_tools.slice_lists.sample_balanced`. They are drawn
            before any is skipped. Defaults to None, all slices.
        **kwargs: Those of :class:`mmengine.dataset.BaseDataset`.

    Raises:
        FileNotFoundError: A list file, the folder or an image is missing.
        ValueError: A list or a file name cannot be read, an image is listed
            twice or outside ``data_prefix['img']``, or a class has fewer than
            ``per_class`` slices.
    """

    METAINFO = dict(classes=IMAGE_CLASSES, image_classes=IMAGE_CLASSES)
    TASK = 'cls'

    ann_file: str | list[str]  #: list files; see the parent

    def __init__(
        self,
        ann_file: str | Sequence[str] = '',
        *args,
        data_prefix: dict = dict(img=''),  # noqa: B006 (copied by the parent)
        skip_missing: bool = False,
        skip_list: str = '',
        per_class: int | None = None,
        **kwargs,
    ) -> None:
        self.skip_missing = skip_missing
        self.skip_list = skip_list
        self.per_class = per_class
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
        entries = self.read_entries()
        check_unique(entries)
        if self.per_class is not None:
            entries = sample_balanced(entries, self.per_class)
        if entries:
            stop_at(self._source, check_slices(entries, self.metainfo['classes']))
        data_list = [
            dict(
                img_path=join_path(self.data_prefix['img'], each.name),
                img_id=each.name,
                task=self.TASK,
                gt_label=each.label,
                patient_id=each.patient,
                scan_id=each.scan,
            )
            for each in entries
        ]
        check_inside([info['img_path'] for info in data_list], self.data_prefix['img'])
        return self._without_missing(leave_out(self, data_list, self.skip_list))

    @property
    def _source(self) -> str:
        return ', '.join(self.ann_file) or self.data_prefix['img']

    def read_entries(self) -> list[SliceEntry]:
        """Read the lists, or the folder; images are not looked for."""
        if not self.ann_file:
            return self._read_folder()
        return [
            each for file in self.ann_file for each in read_slices(file, self.metainfo['classes'])
        ]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class of slice ``idx``, in a list as ``ClassBalancedDataset`` wants it."""
        return [self.get_data_info(idx)['gt_label']]

    def _read_folder(self) -> list[SliceEntry]:
        """All images of the folder, by name."""
        folder = self.data_prefix['img']
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                f'{folder}: no such folder of slices. Correct `data_prefix` or `data_root`.'
            )
        labels = {
            name: parse_slice_name(name).label
            for name in sorted(os.listdir(folder))
            if is_picture(name) or kind_of(os.path.join(folder, name)) is InputKind.DICOM
        }
        nameless = [name for name, label in labels.items() if label is None]
        if nameless:
            raise ValueError(
                f'{folder}: file names that tell no class, {name_some(nameless)}. Name slices '
                '<class>_<patient>_<scan>_<slice>.png with the class as 0, 1, 2 or Normal, CP, '
                'NCP, or give a list of classes as `ann_file`.'
            )
        return [entry_of(name, label) for name, label in labels.items() if label is not None]

    def _without_missing(self, data_list: list[dict]) -> list[dict]:
        """Raise if an image is missing, or leave those out if told to."""
        missing = find_missing([info['img_path'] for info in data_list])
        if missing:
            message = f'{self._source}: missing images, {name_some(missing)}.'
            if not self.skip_missing:
                raise FileNotFoundError(
                    f'{message} Correct `data_prefix` or `data_root`, or set `skip_missing=True` '
                    'to go on without them.'
                )
            print_log(f'{message} They are skipped.', logger='current', level=logging.WARNING)
            gone = set(missing)
            data_list = [info for info in data_list if info['img_path'] not in gone]
        if not data_list:
            raise FileNotFoundError(
                f'{self._source}: not one slice found. Correct `ann_file`, `data_prefix` or '
                '`data_root`.'
            )
        return data_list
