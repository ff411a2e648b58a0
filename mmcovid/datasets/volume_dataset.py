import copy
import logging
import os

from mmengine.dataset import BaseDataset
from mmengine.fileio import join_path
from mmengine.logging import print_log

from mmcovid.classes import IMAGE_CLASSES
from mmcovid.ct import find_region, find_volumes, list_slices, read_volume
from mmcovid.data_tools.image_files import check_inside
from mmcovid.registry import DATASETS
from mmcovid.utils.files import name_some

from .lesion_dataset import LesionDataset


@DATASETS.register_module()
class VolumeDataset(BaseDataset):
    """Slices of CT volumes as they come from a scanner, to test on.

    A volume is a NIfTI, NRRD or MetaImage file or the folder of a DICOM series. Headers of all
    volumes are checked when the dataset is loaded; their pixels are read when the first slice of
    a volume is asked for, and the volume last used is kept: let the sampler keep the order.
    Each worker of a dataloader reads for itself.

    With classes in the list, slices are of the task ``cls``, with the class of their volume (all
    of them, also those that do not show the disease); without, of the task ``scan``, which has no
    metric, and lesions are segmented.

    Args:
        ann_file (str): List with one volume on each line, below ``data_prefix['img']``, and then,
            on all lines or none, its class as a number. ``folder#UID`` chooses one of several
            series. Defaults to '': all volumes in ``data_prefix['img']``, the folders of DICOM
            series included.
        data_prefix (dict): ``img`` is the folder of the volumes. Defaults to ``dict(img='')``.
        step (int): Take every ``step``-th slice. Defaults to 1.
        region (str, optional): ``'body'`` or ``'lung'`` leaves out the slices above and below,
            see :func:`~mmcovid.ct.find_region`; for that all volumes are read when the dataset is
            loaded. Defaults to None: all slices.
        skip_broken (bool): Leave volumes out that cannot be read, with a warning that counts
            them, instead of raising. Defaults to False.
        **kwargs: Those of :class:`mmengine.dataset.BaseDataset`.

    Raises:
        FileNotFoundError: There is no such list or folder, or no volume.
        ValueError: A line or a volume cannot be read, or is outside the folder.
    """

    METAINFO = dict(copy.deepcopy(LesionDataset.METAINFO), image_classes=IMAGE_CLASSES)
    TASK = 'cls'

    def __init__(
        self,
        ann_file: str = '',
        *args,
        data_prefix: dict = dict(img=''),  # noqa: B006 (copied by the parent)
        step: int = 1,
        region: str | None = None,
        skip_broken: bool = False,
        **kwargs,
    ) -> None:
        if step < 1:
            raise ValueError(f'`step` of a VolumeDataset is {step}; give 1 or more.')
        self.step, self.region, self.skip_broken = step, region, skip_broken
        super().__init__(ann_file, *args, data_prefix=data_prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Collect the slices of all volumes.

        Returns:
            list[dict]: One dict per slice with ``img_path`` (``scan.nrrd#012``), ``img_id``,
            ``task``, ``scan_id`` (name of the volume), ``patient_id`` (the same: each volume
            counts as a patient) and, if there is one, ``gt_label``.
        """
        folder = self.data_prefix['img']
        volumes = self.read_volumes()
        check_inside(list(volumes), folder)
        data_list, broken = [], []
        for path, label in volumes.items():
            try:
                names = self._choose(path)
            except (OSError, ValueError) as error:
                broken.append(str(error))
                continue
            scan = os.path.relpath(path, folder) if folder else path
            classed = dict(task='scan') if label is None else dict(task=self.TASK, gt_label=label)
            data_list += [
                dict(img_path=name, img_id=name, scan_id=scan, patient_id=scan, **classed)
                for name in names
            ]
        if broken:
            message = f'volumes that cannot be used, {name_some(broken)}'
            if not self.skip_broken or not data_list:
                raise ValueError(f'{message} Or set `skip_broken=True` to go on without them.')
            print_log(f'{message} They are skipped.', logger='current', level=logging.WARNING)
        return data_list

    def read_volumes(self) -> dict[str, int | None]:
        """Volumes of the list with their classes, or those of the folder; none is opened."""
        return self._read_list() if self.ann_file else self._read_folder()

    def _choose(self, path: str) -> list[str]:
        """Names of the slices of a volume that are wanted."""
        names = list_slices(path)
        if self.region:
            shown = find_region(read_volume(path), self.region)
            if not shown:
                raise ValueError(f'{path}: no slice shows the {self.region}. Set `region=None`.')
            names = names[shown.start : shown.stop]
        return names[:: self.step]

    def _read_list(self) -> dict[str, int | None]:
        """Volumes of the list with their classes."""
        if not os.path.isfile(self.ann_file):
            raise FileNotFoundError(
                f'{self.ann_file}: no such list of volumes. Correct '
                '`ann_file`, or leave it out to take a whole folder.'
            )
        try:
            with open(self.ann_file, encoding='utf-8') as file:
                lines = [line.strip() for line in file if line.strip()]
        except UnicodeDecodeError as error:
            raise ValueError(
                f'{self.ann_file}: not a list of volumes ({error}). Give a text file.'
            ) from error
        volumes = {}
        for line in lines:
            name, *label = line.rsplit(maxsplit=1)
            if not (label and label[0].isdecimal()):
                name, label = line, []
            elif int(label[0]) >= len(self.metainfo['image_classes']):
                raise ValueError(
                    f'{self.ann_file}: {line!r} has a class that is not below '
                    f'{len(self.metainfo["image_classes"])}. Correct the line.'
                )
            path = join_path(self.data_prefix['img'], name)
            if path in volumes:
                raise ValueError(f'{self.ann_file}: {name} is listed twice. Remove one line.')
            volumes[path] = int(label[0]) if label else None
        if not volumes:
            raise FileNotFoundError(f'{self.ann_file}: lists no volume.')
        if len({label is None for label in volumes.values()}) > 1:
            raise ValueError(
                f'{self.ann_file}: some volumes have a class and some have none. '
                'Give all of them one, or none.'
            )
        return volumes

    def _read_folder(self) -> dict[str, int | None]:
        """All volumes of the folder, without classes."""
        folder = self.data_prefix['img']
        if not os.path.isdir(folder):
            raise FileNotFoundError(
                f'{folder}: no such folder of volumes. Correct `data_prefix` or `data_root`.'
            )
        volumes = find_volumes(folder)
        if not volumes:
            raise FileNotFoundError(
                f'{folder}: no volume found (NIfTI, NRRD or MetaImage files, or folders of DICOM '
                'files). Correct `data_prefix` or `data_root`.'
            )
        return dict.fromkeys(volumes)
