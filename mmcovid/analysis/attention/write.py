"""Run a model over its test set and write an attention report."""
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from mmdet.apis import init_detector
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from rich.progress import track
from torch.utils.data import DataLoader, Subset

from mmcovid.checkpoints.guard import safe_checkpoints
from mmcovid.datasets.transforms import LoadImageFromFile
from mmcovid.registry import DATASETS
from mmcovid.reporting import picture_uri, save_plots, write_csv
from mmcovid.utils.files import sha256, write_json, write_text
from mmcovid.utils.provenance import config_hash, software
from mmcovid.visualization import OneShotVisualizer

from .measure import compute, deletion_rows, roi_rows
from .page import render
from .plots import SETS, draw_all
from .record import SliceAttention, check_attention, record_slices

SOFTWARE = ('torch', 'onedl-mmdetection', 'mmdet', 'numpy', 'scipy')


@dataclass
class Settings:
    """What a report is to contain; see ``tools/analysis_tools/attention_report.py``."""

    counts: tuple[int, ...] = (1, 2, 4, 8)
    draws: int = 10
    rounds: int = 2000
    seed: int = 0
    score_thr: float = 0.3
    max_slices: int | None = None
    gallery: int = 6


def write_report(cfg: Config, checkpoint: str, out: str | Path, settings: Settings,
                 device: str = 'cpu') -> dict:
    """Explain the test set of a config and write the report.

    Written are ``attention_report.html``, ``attention.json``, ``attention.csv`` (a row for each
    slice and place of its sequence), ``deletion.csv`` (a row for each slice and way of dropping),
    and ``figures/`` as SVG and PNG. Each is written whole or not at all.

    Args:
        cfg (Config): Config of a one-shot model.
        checkpoint (str): Its weights.
        out (str | Path): Folder to write to.
        settings (Settings): What to compute.
        device (str): Device of the model. Defaults to 'cpu'.

    Returns:
        dict: What ``attention.json`` holds.

    Raises:
        ValueError: If the model has no attention to explain.
        FileNotFoundError: If the checkpoint or data are missing.
    """
    model_info = dict(
        config=Path(cfg.filename or 'config').name, config_sha256=config_hash(cfg),
        checkpoint=Path(checkpoint).name, checkpoint_sha256=sha256(checkpoint))
    cfg = cfg.copy()
    cfg.model.test_cfg.detect_cls_slices = True  # lungs have to be known in all slices
    with safe_checkpoints():
        model = init_detector(cfg, checkpoint, device=device)
    check_attention(model)

    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    meta, notes = dataset.metainfo, []
    classes, image_classes = meta['classes'], meta['image_classes']
    chosen = _choose(len(dataset), settings)
    if len(chosen) < len(dataset):
        notes.append(f'{len(chosen):,} of {len(dataset):,} slices, drawn with seed '
                     f'{settings.seed}; the others were not looked at.')
    workers = cfg.test_dataloader.get('num_workers', 0)
    batches = DataLoader(Subset(dataset, chosen), cfg.test_dataloader.get('batch_size', 1),
                         num_workers=workers, collate_fn=pseudo_collate)
    pictures, on_sample = _gallery(meta, len(chosen), image_classes, settings)
    slices = record_slices(
        model, track(batches, 'explaining slices'), classes, settings.score_thr, settings.counts,
        settings.draws, settings.seed, on_sample)

    sets = compute(slices, classes, image_classes, settings.rounds, settings.seed)
    data = dict(
        settings=asdict(settings), model=model_info, software=software(SOFTWARE),
        classes=image_classes, lesion_classes=classes,
        notes=notes + _notes(slices, sets, settings), sets=sets)
    out = Path(out)
    plots = save_plots(draw_all(sets), out / 'figures')
    write_csv(out / 'attention.csv', *roi_rows(slices, classes, image_classes))
    write_csv(out / 'deletion.csv', *deletion_rows(slices, image_classes))
    write_json(data, out / 'attention.json')
    write_text(render(data, plots, pictures, f'Attention: {Path(cfg.filename or out).stem}'),
               out / 'attention_report.html')
    return data


def _choose(number: int, settings: Settings) -> list[int]:
    """Indices of the slices to look at: all, or as many as are asked for, drawn at random."""
    if settings.max_slices is None or settings.max_slices >= number:
        return list(range(number))
    rng = np.random.default_rng(settings.seed)
    return sorted(rng.choice(number, settings.max_slices, replace=False).tolist())


def _gallery(meta: dict, number: int, image_classes: tuple[str, ...], settings: Settings
             ) -> tuple[list[dict], Callable[[int, DetDataSample], None]]:
    """Pictures to be filled, and what fills them when slices are predicted."""
    rng = np.random.default_rng(settings.seed)
    drawn = set(rng.choice(number, min(settings.gallery, number), replace=False).tolist())
    load, visualizer = LoadImageFromFile(color_type='unchanged'), OneShotVisualizer(
        name='attention_report', draw_attention=True)
    visualizer.dataset_meta = meta
    pictures: list[dict] = []

    def on_sample(index: int, sample: DetDataSample) -> None:
        if index not in drawn:
            return
        image = load(dict(img_path=sample.img_path))['img']
        picture = visualizer.draw(str(sample.img_id), image, sample, score_thr=settings.score_thr)
        truth = sample.get('gt_label')
        # the folder is the patient in the lesion set
        name = '/'.join(Path(sample.img_path).parts[-2:])
        caption = f'{name}: {image_classes[int(sample.pred_label)]}' + (
            '' if truth is None else f', truth {image_classes[int(truth)]}')
        pictures.append(dict(uri=picture_uri(picture), caption=caption))

    return pictures, on_sample


def _notes(slices: list[SliceAttention], sets: dict[str, dict], settings: Settings) -> list[str]:
    """What figures leave out."""
    notes = []
    for task, own in sets.items():
        name, size = SETS.get(task, task), own['set']
        if size['slices_without_patient']:
            notes.append(f'{name}: {size["slices_without_patient"]:,} of {size["slices"]:,} slices '
                         'tell no patient: each scan, or else each slice, counts as a patient of '
                         'its own, and the intervals are too narrow if patients have several.')
        done = {row['dropped']: row['too_few_rois'] for row in own['deletion']}
        for k in settings.counts:
            lacking = done.get(k, size['slices'])
            if lacking:
                notes.append(f'{name}: {k} RoIs are not dropped from {lacking:,} of '
                             f'{size["slices"]:,} slices, which would keep fewer than 2.')
        if size['with_repeats']:
            notes.append(f'{name}: {size["with_repeats"]:,} of {size["slices"]:,} slices have '
                         f'fewer than {size["rois"]} RoIs, some of them repeated.')
    return notes
