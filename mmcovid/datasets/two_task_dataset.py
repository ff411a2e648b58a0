import copy
import logging
from collections.abc import Sequence

from mmengine.dataset import BaseDataset, ConcatDataset
from mmengine.logging import print_log

from mmcovid.classes import IMAGE_CLASSES, with_palette
from mmcovid.registry import DATASETS
from mmcovid.utils.seeding import seed_generators

from .lesion_dataset import LesionDataset
from .samplers import SeededIndex
from .slice_dataset import SliceDataset
from .volume_dataset import VolumeDataset


@DATASETS.register_module()
class TwoTaskDataset(ConcatDataset):
    """Lesion-annotated and class-labelled slices, one after the other.

    Unlike a plain ``ConcatDataset`` it can stand as ``test_dataloader.dataset``:
    ``init_detector``, ``inference_detector`` and ``DetInferencer`` look there
    for a ``pipeline``, and build it with ``lazy_init=True``, with no data at
    hand, for its ``metainfo``. The metainfo is that of the lesion set (classes
    and palette) and, as ``image_classes``, the classes of the slice set.

    Either set may be missing. They are named, not listed, so that a config
    that inherits another one can change one entry of one of them.

    Args:
        seg (dict, BaseDataset or list of these, optional): Lesion set, or several of the same
            classes, each of which is a source of its own to ``MultiSourceSampler``. Defaults to
            None.
        cls (dict or BaseDataset, optional): Slice set, or volumes to test on.
            Defaults to None.
        pipeline (Sequence[dict], optional): Pipeline of each dataset config
            that has none of its own. Defaults to None.
        metainfo (dict, optional): Overrides entries of the metainfo.
            Defaults to None.
        lazy_init (bool): Do not load annotations yet. Defaults to False.
        skip_unreadable (bool): For a training: put the next slice of its set in the place of one
            whose file cannot be read, and warn of each. Defaults to False, which raises.
    """

    def __init__(
        self,
        seg: dict | BaseDataset | list[dict | BaseDataset] | None = None,
        cls: dict | BaseDataset | None = None,
        pipeline: Sequence[dict] | None = None,
        metainfo: dict | None = None,
        lazy_init: bool = False,
        skip_unreadable: bool = False,
    ) -> None:
        self.skip_unreadable = skip_unreadable
        self._unreadable: set[tuple[int, int]] = set()
        lesions = seg if isinstance(seg, (list, tuple)) else [seg]
        datasets = [dataset for dataset in (*lesions, cls) if dataset is not None]
        if not datasets:
            raise ValueError(
                'a TwoTaskDataset needs `seg`, a lesion set, `cls`, a slice set, or both.'
            )
        built = [self._build(dataset, pipeline, lazy_init) for dataset in datasets]
        # the sets differ in their classes by nature, so nothing is compared
        names = {name for dataset in built for name in dataset.metainfo}
        super().__init__(built, lazy_init=lazy_init, ignore_keys=sorted(names))
        self._metainfo = self._merge_metainfo(metainfo or {})

    def __getitem__(self, idx: int) -> dict:
        """A sample; what its pipeline draws depends on a seeded index only."""
        if isinstance(idx, SeededIndex):
            seed_generators(*idx.key, 0)  # not the key of an iteration of that number
        if self.skip_unreadable:
            return self._readable(*self._get_ori_dataset_idx(idx))
        return super().__getitem__(idx)

    def _readable(self, number: int, first: int) -> dict:
        """A sample of one of the sets: the first from an index on that can be read."""
        dataset = self.datasets[number]
        for idx in (*range(first, len(dataset)), *range(first)):
            if (number, idx) in self._unreadable:
                continue
            try:
                return dataset[idx]
            except (OSError, ValueError) as error:
                self._unreadable.add((number, idx))
                print_log(
                    f'{error} The training goes on without it: {len(self._unreadable)} unreadable '
                    'slices in this process.',
                    logger='current',
                    level=logging.WARNING,
                )
        raise ValueError(f'set {number} of the training: none of its slices can be read.')

    @staticmethod
    def _build(
        dataset: dict | BaseDataset, pipeline: Sequence[dict] | None, lazy_init: bool
    ) -> BaseDataset:
        """Build one dataset, leaving its config as it was."""
        if not isinstance(dataset, dict):
            return dataset
        config = copy.deepcopy(dataset)
        if pipeline is not None:
            config.setdefault('pipeline', copy.deepcopy(pipeline))
        if lazy_init:
            config['lazy_init'] = True
        return DATASETS.build(config)

    def _merge_metainfo(self, overrides: dict) -> dict:
        """Lesion classes and palette as the main entries, image classes beside."""
        merged = dict(copy.deepcopy(LesionDataset.METAINFO), image_classes=IMAGE_CLASSES)
        lesion_classes = set()
        for dataset in self.datasets:
            if isinstance(dataset, SliceDataset):
                merged['image_classes'] = dataset.metainfo['classes']
            elif isinstance(dataset, VolumeDataset):
                merged['image_classes'] = dataset.metainfo['image_classes']
            else:
                merged.update(dataset.metainfo)
                lesion_classes.add(tuple(merged['classes']))
        if len(lesion_classes) > 1:
            raise ValueError(
                f'lesion sets of different classes, {sorted(lesion_classes)}. Convert them alike.'
            )
        return {**merged, **with_palette(overrides)}
