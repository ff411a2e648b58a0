import os

from mmdet.datasets import CocoDataset

from mmcovid.classes import DEFAULT, LESION_CLASSES, with_palette
from mmcovid.ct import check_picture, is_ct
from mmcovid.data_tools.annotation_checks import check_lesions, read_json_object
from mmcovid.data_tools.image_files import check_inside, find_missing
from mmcovid.data_tools.lesion_lists import patient_of
from mmcovid.registry import DATASETS
from mmcovid.utils.files import name_some
from mmcovid.utils.parallel import map_files

from .files import leave_out, read_skip_list, stop_at


@DATASETS.register_module()
class LesionDataset(CocoDataset):
    """CT slices with lesion masks, in COCO style.

    ``mmcovid convert cncb-lesions`` writes the JSON. Slices with
    no lesion are ordinary samples: nothing is filtered out unless
    ``filter_cfg`` says so, in training neither. For two classes, converted
    with ``--merge-lesions``, set ``metainfo=dict(classes=('lung', 'lesion'))``.

    Each data info has, besides MMDetection's keys, ``task`` ('seg') and
    ``patient_id`` (str): the JSON image's ``patient_id``, else the folder in
    its file name, else the part of the file name before the first ``_``.

    Args:
        *args: Those of :class:`mmdet.datasets.CocoDataset`.
        metainfo (dict, optional): As there. Classes have their own colours
            where it names no ``palette``. Defaults to None.
        skip_list (str): Text file of slices to leave out, below ``data_root``,
            as ``mmcovid verify`` writes it. Defaults to '', none.
        **kwargs: Those of :class:`mmdet.datasets.CocoDataset`.

    Raises:
        FileNotFoundError: The JSON or an image is missing.
        ValueError: The JSON cannot be read, its categories are not the
            dataset's classes, annotations cannot be used (see
            :data:`~mmcovid.data_tools.annotation_checks.ANNOTATION_ERRORS`), or an
            image is of another size or outside ``data_prefix['img']``.
    """

    METAINFO = dict(classes=LESION_CLASSES, palette=DEFAULT.palette)
    TASK = 'seg'

    def __init__(self, *args, metainfo: dict | None = None, skip_list: str = '', **kwargs) -> None:
        self.skip_list = skip_list
        super().__init__(*args, metainfo=with_palette(metainfo), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Load the JSON and make sure that all its images are there."""
        if self.backend_args is not None:  # remote files: leave errors to the backend
            return leave_out(self, super().load_data_list(), self.skip_list)
        if not os.path.isfile(self.ann_file):
            raise FileNotFoundError(
                f'{self.ann_file}: no such annotation file. Write it with '
                'mmcovid convert cncb-lesions, or correct `ann_file`.'
            )
        skipped = read_skip_list(self, self.skip_list)
        problems = check_lesions(read_json_object(self.ann_file))
        stop_at(self.ann_file, [each for each in problems if each.name not in skipped])
        data_list = super().load_data_list()
        check_inside([info['img_path'] for info in data_list], self.data_prefix['img'])
        data_list = leave_out(self, data_list, self.skip_list)
        missing = find_missing([info['img_path'] for info in data_list])
        if missing:
            raise FileNotFoundError(
                f'{self.ann_file}: missing images, {name_some(missing)}. Correct `data_prefix` '
                'or `data_root`.'
            )
        self._check_sizes(data_list)
        return data_list

    def _check_sizes(self, data_list: list[dict]) -> None:
        """Compare pictures, by their headers, with the sizes that their masks have.

        Slices of a CT are compared when they are read.

        Raises:
            ValueError: Some are of another size, or no pictures.
        """
        pictures = [info for info in data_list if not is_ct(info['img_path'])]
        wrong = []
        for info, size in zip(pictures, map_files(_size_of, pictures, '', 8, False)):
            said = info['height'], info['width']
            if isinstance(size, str):
                wrong.append(size)
            elif size != said:
                wrong.append(f'{info["img_path"]} is {_of_size(size)}, not {_of_size(said)}')
        if wrong:
            raise ValueError(
                f'{self.ann_file}: images that do not fit their masks, {name_some(wrong)}. Give '
                'the images that were annotated, or leave these out by `skip_list`.'
            )

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """Add task and patient to MMDetection's data info."""
        # MMDetection leaves classes that the JSON lacks out in silence and numbers the rest
        # in the JSON's order
        names = tuple(self.coco.cats[cat_id]['name'] for cat_id in self.cat_ids)
        if names != tuple(self.metainfo['classes']):
            found = [category['name'] for category in self.coco.cats.values()]
            raise ValueError(
                f'{self.ann_file}: its categories {found} are not the classes '
                f'{list(self.metainfo["classes"])} in this order. Convert it again (see '
                '--merge-lesions of mmcovid convert cncb-lesions), or set '
                '`metainfo=dict(classes=...)`.'
            )
        data_info = super().parse_data_info(raw_data_info)
        data_info['task'] = self.TASK
        data_info['patient_id'] = patient_of(raw_data_info['raw_img_info'])
        return data_info


def _size_of(info: dict) -> tuple[int, int] | str:
    """Height and width of a picture, or why it is none."""
    try:
        return check_picture(info['img_path'])
    except (OSError, ValueError) as error:
        return str(error)


def _of_size(size: tuple[int, int]) -> str:
    height, width = size
    return f'{width}x{height}'
