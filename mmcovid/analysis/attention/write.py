"""Run a model over its test set and write an attention report."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmdet.apis import init_detector
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import BaseDataset, pseudo_collate
from rich.progress import track
from torch import nn
from torch.utils.data import DataLoader, Subset

from mmcovid.checkpoints.guard import safe_checkpoints
from mmcovid.classes import Classes
from mmcovid.datasets.transforms import LoadImageFromFile
from mmcovid.registry import DATASETS
from mmcovid.reporting import picture_uri, save_plots, write_csv
from mmcovid.results import AttentionReport, AttentionSet, AttentionSettings
from mmcovid.results.attention import ExplainedModel
from mmcovid.utils.files import sha256, write_json, write_text
from mmcovid.utils.provenance import config_hash, software
from mmcovid.visualization import OneShotVisualizer

from .measure import deletion_rows, measure_sets, roi_rows
from .page import Picture, lay_out
from .plots import draw_all
from .record import check_attention, record_slices
from .words import set_title

SOFTWARE = ('torch', 'onedl-mmdetection', 'mmdet', 'numpy', 'scipy')


def write_attention_report(
    cfg: Config, checkpoint: str, out: str | Path, settings: AttentionSettings, device: str = 'cpu'
) -> AttentionReport:
    """Explain the test set of a config and write the report.

    Written are ``attention_report.html``, ``attention.json``, ``attention.csv`` (a row for each
    slice and place of its sequence), ``deletion.csv`` (a row for each slice and way of dropping),
    and ``figures/`` as SVG and PNG. Each is written whole or not at all.

    Args:
        cfg (Config): Config of a one-shot model.
        checkpoint (str): Its weights.
        out (str | Path): Folder to write to.
        settings (AttentionSettings): What to compute.
        device (str): Device of the model. Defaults to 'cpu'.

    Returns:
        AttentionReport: What ``attention.json`` holds.

    Raises:
        ValueError: If the model has no attention to explain.
        FileNotFoundError: If the checkpoint or data are missing.
    """
    explained = ExplainedModel(
        config=Path(cfg.filename or 'config').name,
        config_sha256=config_hash(cfg),
        checkpoint=Path(checkpoint).name,
        checkpoint_sha256=sha256(checkpoint),
    )
    model = _load_model(cfg, checkpoint, device)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    classes = Classes.from_meta(dataset.metainfo)
    chosen = _draw(len(dataset), settings.max_slices, settings.seed)
    gallery = _Gallery(dataset.metainfo, classes, len(chosen), settings)
    batches = _load_batches(cfg, dataset, chosen)
    slices = record_slices(
        model,
        track(batches, 'explaining slices'),
        classes,
        settings.score_thr,
        settings.counts,
        settings.draws,
        settings.seed,
        gallery.add,
    )

    sets = measure_sets(slices, classes, settings.rounds, settings.seed)
    report = AttentionReport(
        settings=settings,
        model=explained,
        software=software(SOFTWARE),
        classes=classes.image_names,
        lesion_classes=classes.lesion_names,
        notes=[
            *_note_choice(len(chosen), len(dataset), settings.seed),
            *_note_gaps(sets, settings.counts),
        ],
        sets=sets,
    )
    out = Path(out)
    plots = save_plots(draw_all(sets, classes), out / 'figures')
    write_csv(out / 'attention.csv', *roi_rows(slices, classes))
    write_csv(out / 'deletion.csv', *deletion_rows(slices, classes))
    write_json(report, out / 'attention.json')
    title = f'Attention: {Path(cfg.filename or out).stem}'
    write_text(
        lay_out(report, classes, plots, gallery.pictures, title), out / 'attention_report.html'
    )
    return report


def _load_model(cfg: Config, checkpoint: str, device: str) -> nn.Module:
    """The model of a config, which also looks for lungs in slices that it only classifies."""
    cfg = cfg.copy()
    cfg.model.test_cfg.detect_cls_slices = True
    with safe_checkpoints():
        model = init_detector(cfg, checkpoint, device=device)
    check_attention(model)
    return model


def _load_batches(cfg: Config, dataset: BaseDataset, chosen: Sequence[int]) -> DataLoader:
    """Batches of some slices of a test set, of the size and by the workers of its loader."""
    loader = cfg.test_dataloader
    return DataLoader(
        Subset(dataset, chosen),
        loader.get('batch_size', 1),
        num_workers=loader.get('num_workers', 0),
        collate_fn=pseudo_collate,
    )


def _draw(number: int, most: int | None, seed: int) -> list[int]:
    """Indices of all of ``number`` slices, or of as many as are asked for, drawn at random."""
    if most is None or most >= number:
        return list(range(number))
    return sorted(np.random.default_rng(seed).choice(number, most, replace=False).tolist())


class _Gallery:
    """Pictures of slices that are drawn at random, made as slices are predicted."""

    def __init__(
        self, meta: dict, classes: Classes, number: int, settings: AttentionSettings
    ) -> None:
        self.pictures: list[Picture] = []
        self._drawn = set(_draw(number, settings.gallery, settings.seed))
        self._classes, self._score_thr = classes, settings.score_thr
        self._load = LoadImageFromFile(color_type='unchanged')
        self._visualizer = OneShotVisualizer(name='attention_report', draw_attention=True)
        self._visualizer.dataset_meta = meta

    def add(self, index: int, sample: DetDataSample) -> None:
        """Draw a slice, if it is one of those."""
        if index not in self._drawn:
            return
        image = self._load(dict(img_path=sample.img_path))['img']
        picture = self._visualizer.draw(
            str(sample.img_id), image, sample, score_thr=self._score_thr
        )
        self.pictures.append(Picture(picture_uri(picture), self._caption(sample)))

    def _caption(self, sample: DetDataSample) -> str:
        names = [each.display_name for each in self._classes.images]
        # the folder is the patient in the lesion set
        file = '/'.join(Path(sample.img_path).parts[-2:])
        truth = sample.get('gt_label')
        return f'{file}: {names[int(sample.pred_label)]}' + (
            '' if truth is None else f', truth {names[int(truth)]}'
        )


def _note_choice(chosen: int, number: int, seed: int) -> list[str]:
    """That not all slices were looked at."""
    return (
        []
        if chosen == number
        else [
            f'{chosen:,} of {number:,} slices, drawn with seed {seed}; others were not looked at.'
        ]
    )


def _note_gaps(sets: dict[str, AttentionSet], counts: Sequence[int]) -> list[str]:
    """What figures leave out."""
    notes = []
    for task, figures in sets.items():
        name, size = set_title(task), figures.set
        if size.slices_without_patient:
            notes.append(
                f'{name}: {size.slices_without_patient:,} of {size.slices:,} slices '
                'tell no patient: each scan, or else each slice, counts as a patient of '
                'its own, and the intervals are too narrow if patients have several.'
            )
        done = {effect.dropped: effect.too_few_rois for effect in figures.deletion}
        for k in counts:
            lacking = done.get(k, size.slices)
            if lacking:
                notes.append(
                    f'{name}: {k} RoIs are not dropped from {lacking:,} of '
                    f'{size.slices:,} slices, which would keep fewer than 2.'
                )
        if size.with_repeats:
            notes.append(
                f'{name}: {size.with_repeats:,} of {size.slices:,} slices have '
                f'fewer than {size.rois} RoIs, some of them repeated.'
            )
    return notes
