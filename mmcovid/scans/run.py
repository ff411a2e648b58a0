"""Predict scans one after the other, and write a folder for each."""
import csv
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path

from mmcovid.apis import OneShotInferencer
from mmcovid.reporting import save_plots, write_csv
from mmcovid.utils.files import atomic_folder, sha256, write_json, write_text
from mmcovid.utils.provenance import software

from .dicom_seg import check_dicom_seg, check_series, write_dicom_seg
from .inputs import Scan, find_scans
from .outputs import summary_row, write_masks, write_slice_table
from .page import render
from .pictures import draw_profile, draw_views
from .predict import Prediction, predict_scan
from .results import SCHEMA_VERSION, Settings, compute_results

_PACKAGES = ('torch', 'onedl-mmdetection', 'onedl-mmcv', 'mmdet', 'mmcv', 'numpy', 'SimpleITK',
             'pydicom', 'highdicom')


def run_scans(inferencer: OneShotInferencer, inputs: Sequence[str | PathLike],
              out: str | PathLike, settings: Settings | None = None,
              show_progress: bool = True) -> list[dict]:
    """Predict scans and write ``out/<scan>/`` for each; see ``docs/en/scan.md``.

    A folder appears when it is complete. A scan that fails leaves none, and the others go on.

    Args:
        inferencer (OneShotInferencer): Model.
        inputs (Sequence[str | PathLike]): As for :func:`~mmcovid.scans.find_scans`.
        out (str | PathLike): Folder to write to.
        settings (Settings, optional): Rules. Defaults to those of :class:`Settings`.
        show_progress (bool): Show a progress bar for each scan. Defaults to True.

    Returns:
        list[dict]: For each scan its line in ``summary.csv``: ``scan``, ``status`` (ok,
        incomplete or failed), ``class`` and so on, and ``reason``.

    Raises:
        ValueError: DICOM segmentations are asked for and cannot be written.
    """
    settings, out = settings or Settings(), Path(out)
    if settings.dicom_seg:
        check_dicom_seg(inferencer.model.dataset_meta['classes'])
    scans, failures = find_scans(inputs)
    model = _describe_model(inferencer)
    rows = [dict(scan='', status='failed', **failure) for failure in failures]
    _update_summary(out, rows)
    for name, scan in scans.items():
        try:
            with atomic_folder(out / name, settings.overwrite) as folder:
                results = _write_scan(inferencer, name, scan, folder, model, settings,
                                      show_progress)
            rows.append(summary_row(name, results))
        except Exception as error:  # whatever one scan leads to, the others go on
            kind = '' if isinstance(error, (OSError, ValueError)) else f'{type(error).__name__}: '
            rows.append(dict(scan=name, status='failed', input=scan.path, reason=f'{kind}{error}'))
        _update_summary(out, rows[-1:])
    return rows


def _write_scan(inferencer: OneShotInferencer, name: str, scan: Scan, folder: Path, model: dict,
                settings: Settings, show_progress: bool) -> dict:
    """Predict a scan and write all its files."""
    classes, palette = model['classes'], inferencer.model.dataset_meta['palette']
    if settings.dicom_seg:
        check_series(scan)
    prediction = predict_scan(
        inferencer, scan, settings.score_thr, settings.batch_size, show_progress)
    numbers = compute_results(prediction, classes, model['image_classes'], settings)
    files = write_masks(folder, prediction, classes, palette)
    if settings.dicom_seg and files:
        write_dicom_seg(prediction.label_map(), prediction.volume, dict(zip(classes, palette)),
                        model['name'], model['weights_sha256'] or '',
                        folder / 'segmentation.dcm')
        files['segmentation.dcm'] = 'DICOM segmentation'
    results = dict(
        schema_version=SCHEMA_VERSION, complete=not prediction.errors,
        scan=_describe_scan(scan, prediction), errors=prediction.errors, **numbers, model=model,
        settings=dict({key: value for key, value in asdict(settings).items()
                       if key not in ('overwrite', 'dicom_seg')},
                      temperature=inferencer.temperature, device=str(inferencer.device)),
        files=files, software=software(_PACKAGES),
        created=datetime.now(timezone.utc).isoformat(timespec='seconds'))
    results['slices'] = results.pop('slices')  # long, and so the last
    write_json(results, folder / 'results.json')
    write_slice_table(folder / 'slices.csv', results['slices'])

    by_index = {each.index: each for each in prediction.slices}
    views = {index: draw_views(by_index[index], prediction.window, classes, palette)
             for index in results['suspicious_slices']}
    profile = draw_profile(results, classes, palette)
    plots = save_plots(dict(profile=profile), folder) if profile else {}
    write_text(render(name, results, views, plots.get('profile'), dict(zip(classes, palette))),
               folder / 'report.html')
    return results


def _describe_model(inferencer: OneShotInferencer) -> dict:
    """What predicted: names and hashes."""
    meta, config = inferencer.model.dataset_meta, getattr(inferencer.cfg, 'filename', None)
    weights = inferencer.weights
    return dict(
        name=Path(config or weights or 'model').stem, config_sha256=inferencer.config_hash,
        weights=weights, weights_sha256=sha256(weights) if weights else None,
        classes=tuple(meta['classes']), image_classes=tuple(meta.get('image_classes', ())))


def _describe_scan(scan: Scan, prediction: Prediction) -> dict:
    """What was predicted. It holds nothing of the patient but what paths tell."""
    volume = prediction.volume
    if volume is None:
        return dict(path=scan.path, kind='pictures', num_slices=prediction.number, size=None,
                    spacing_mm=None, window_hu=None, series_uid=None)
    series = volume.metadata.get('series_uid')
    return dict(path=scan.path, kind='dicom' if series else 'volume',
                num_slices=prediction.number, size=volume.array.shape[::-1],
                spacing_mm=volume.spacing, window_hu=prediction.window, series_uid=series)


def _update_summary(out: Path, rows: list[dict]) -> None:
    """Put lines into ``summary.csv``; those of folders that former runs wrote stay."""
    path, lines = out / 'summary.csv', {}
    again = {row['input'] for row in rows}
    if path.is_file():
        with open(path, newline='', encoding='utf-8') as file:
            lines = {(line['scan'] or line['input']): line for line in csv.DictReader(file)
                     if line['status'] != 'failed' or line['input'] not in again}
    for row in rows:
        kept = row['scan'] and (out / row['scan'] / 'results.json').is_file()
        if row['status'] != 'failed' or not kept:
            lines[row['scan'] or row['input']] = row
    if not lines:
        return
    header = list(dict.fromkeys(
        column for line in lines.values() for column in line if column != 'reason')) + ['reason']
    write_csv(path, header, lines.values())
