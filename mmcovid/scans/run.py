"""Predict scans one after the other, and write a folder for each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmcovid.classes import Classes
from mmcovid.reporting import save_plots
from mmcovid.results import (
    Failure,
    ModelInfo,
    ScanInfo,
    ScanModel,
    ScanResults,
    ScanSettings,
)
from mmcovid.results.scan import SCHEMA_VERSION
from mmcovid.scan_class import LEARNED, choose_rule
from mmcovid.utils.files import atomic_folder, write_json, write_text
from mmcovid.utils.provenance import now, software

from .addresses import Address, is_address
from .dicom import check_dicom, check_scan, write_dicom
from .former import find_difference, read_results
from .inputs import Scan, at_hand, find_scans
from .measure import measure_scan
from .page import render_page
from .pictures import draw_views
from .plots import draw_profile
from .predict import Prediction, predict_scan
from .predictor import SlicePredictor
from .settings import Settings
from .shown import path_hash, without_folders, without_their_folders
from .summary import NOT_STORED, append_lines, failed_line, settle, summary_line
from .viewer import render_viewer
from .write import write_masks, write_slice_table, write_vectors

_PACKAGES = (
    'torch',
    'onedl-mmdetection',
    'onedl-mmcv',
    'mmdet',
    'mmcv',
    'numpy',
    'SimpleITK',
    'pydicom',
    'highdicom',
    'dicomweb-client',
    'onnxruntime',
    'onnxruntime-gpu',
    'openvino',
)


def run_scans(
    predictor: SlicePredictor,
    inputs: Sequence[str | PathLike],
    out: str | PathLike,
    settings: Settings | None = None,
    show_progress: bool = True,
) -> list[dict[str, Any]]:
    """Predict scans and write ``out/<scan>/`` for each; see ``docs/en/scan.md``.

    A folder appears when it is complete. A scan that fails leaves none, and the others go on.

    Args:
        predictor (SlicePredictor): Model, such as :class:`mmcovid.apis.OneShotInferencer`.
        inputs (Sequence[str | PathLike]): As for :func:`~mmcovid.scans.find_scans`.
        out (str | PathLike): Folder to write to.
        settings (Settings, optional): Rules. Defaults to those of :class:`Settings`.
        show_progress (bool): Show a progress bar for each scan. Defaults to True.

    Returns:
        list[dict]: For each scan its line in ``summary.csv``: ``scan``, ``status`` (ok,
        incomplete, failed or not stored), ``class`` and so on, and ``reason``; ``kept`` is true of
        those that ``settings.resume`` left as they are.

    Raises:
        ValueError: As :func:`check_settings`.
    """
    settings, out = settings or Settings(), Path(out)
    check_settings(predictor, settings)
    model = predictor.model_info

    def run_all(scans: Mapping[str, Scan]) -> Iterator[tuple[str, ScanOutcome]]:
        for name, scan in scans.items():
            yield name, run_scan(predictor, model, name, scan, out, settings, show_progress)

    return sum_up(inputs, out, run_all, settings)


def check_settings(predictor: SlicePredictor, settings: Settings) -> None:
    """Make sure that a model can do what is asked for, before hours of prediction.

    Raises:
        ValueError: DICOM outputs cannot be written, none is to be stored, it does not know its
            training data, it has no rule for the class of a scan that fits the settings, or the
            decision rules are of another model.
    """
    rule = choose_rule(settings.aggregate, predictor.scan_rule)
    if settings.decision_rules is not None:
        settings.decision_rules.check(predictor.classes.image_names, rule)
    check_dicom(predictor.classes, settings)
    if settings.store and not settings.dicom:
        raise ValueError('there is nothing to store: ask for DICOM outputs, or leave out --store.')
    if settings.abstain_unfamiliar and predictor.distance_threshold is None:
        raise ValueError(
            f'{predictor.model_info.weights}: does not know its training data. Publish it with '
            '--familiarity, or leave out --abstain-unfamiliar.'
        )
    if rule == LEARNED:
        _check_rule(predictor, settings)


def _check_rule(predictor: SlicePredictor, settings: Settings) -> None:
    """Make sure that the learned rule is applied to what it was fitted to.

    Raises:
        ValueError: The model has none, or it was fitted to slices that were read otherwise.
    """
    rule = predictor.scan_rule
    if rule is None:
        raise ValueError(
            f'{predictor.model_info.weights}: has no learned rule for the class of a scan. Fit one '
            'by mmcovid scan-class, or name another --aggregate.'
        )
    for option, fitted, asked in (
        ('region', rule.region, settings.region),
        ('temperature', rule.slice_temperature, predictor.temperature),
    ):
        if fitted != asked:
            raise ValueError(
                f'{predictor.model_info.weights}: its learned rule for the class of a scan was '
                f'fitted with --{option} {fitted}, not {asked}. Leave that out, or name another '
                '--aggregate.'
            )


class ScanOutcome(NamedTuple):
    """What became of a scan."""

    line: dict[str, Any]  #: of ``summary.csv``
    kept: bool = False  #: whether a former run made it


def sum_up(
    inputs: Sequence[str | PathLike],
    out: Path,
    run_all: Callable[[Mapping[str, Scan]], Iterable[tuple[str, ScanOutcome]]],
    settings: Settings,
) -> list[dict[str, Any]]:
    """Have scans predicted, in any order, and keep ``summary.csv`` meanwhile.

    Args:
        inputs (Sequence[str | PathLike]): As for :func:`~mmcovid.scans.find_scans`.
        out (Path): Folder to write to.
        run_all (Callable): Predicts scans by name; gives name and outcome of each.
        settings (Settings): Whether paths are told.

    Returns:
        list[dict]: As of :func:`run_scans`.
    """
    scans, failures = find_scans(inputs)
    if not settings.keep_paths:
        failures = without_their_folders(failures)
    failed = [failed_line('', failure) for failure in failures]
    append_lines(out, failed)
    lines = {}
    try:
        for name, (line, kept) in run_all(scans):
            append_lines(out, [line])
            lines[name] = dict(line, kept=True) if kept else line
    finally:
        settle(out)
    return failed + [lines[name] for name in scans]


def run_scan(
    predictor: SlicePredictor,
    model: ModelInfo,
    name: str,
    scan: Scan,
    out: Path,
    settings: Settings,
    show_progress: bool = False,
    workplace: Path | None = None,
) -> ScanOutcome:
    """Predict a scan and write its folder, unless a former run did; whatever fails is told.

    Args:
        predictor (SlicePredictor): Model.
        model (ModelInfo): What it tells of itself.
        name (str): Of the scan, and of its folder.
        scan (Scan): What to predict.
        out (Path): Where its folder is to be.
        settings (Settings): Rules.
        show_progress (bool): Show a progress bar. Defaults to False.
        workplace (Path, optional): As of :func:`~mmcovid.utils.files.atomic_folder`.

    Returns:
        ScanOutcome: Its line.
    """
    target = out / name
    try:
        if settings.resume and target.exists():
            former = read_results(target)
            difference = find_difference(
                former,
                scan.path,
                _describe_model(model, predictor.classes),
                _describe_settings(settings, predictor),
                settings,
            )
            if former is not None and difference is None:
                line = _store(summary_line(name, former), scan, target, settings)
                return ScanOutcome(line, kept=line['status'] != NOT_STORED)
            if not settings.overwrite:
                raise FileExistsError(
                    f'{target}: exists already, {difference}. Take it away, or overwrite it'
                )
        with (
            atomic_folder(target, settings.overwrite, workplace) as folder,
            at_hand(scan) as local,
        ):
            results = _write_scan(predictor, name, local, folder, model, settings, show_progress)
        line = summary_line(name, results.to_plain())
        return ScanOutcome(_store(line, scan, target, settings))
    except Exception as error:  # whatever one scan leads to, the others go on
        return failed_outcome(name, scan, tell_error(error), out, settings)


def _store(line: dict[str, Any], scan: Scan, folder: Path, settings: Settings) -> dict[str, Any]:
    """Send the DICOM files of a scan to its archive; its line, which tells if that failed."""
    if not settings.store:
        return line
    try:
        if not is_address(scan.path):
            raise ValueError(f'{scan.path}: is of no archive to store to. Leave out --store.')
        from .archive import Archive  # here: it needs packages that are optional

        Archive(Address.parse(scan.path)).store(sorted(folder.rglob('*.dcm')))
    except Exception as error:  # the scan is there, whatever becomes of this
        reason = f'{tell_error(error)} The files are kept; --resume --store sends what is missing.'
        if not settings.keep_paths:
            reason = without_folders(reason, scan.path)
        return dict(line, status=NOT_STORED, reason=reason)
    return line


def failed_outcome(
    name: str, scan: Scan, reason: str, out: Path, settings: Settings
) -> ScanOutcome:
    """What became of a scan that failed."""
    failure = Failure(scan.path, reason)
    if not settings.keep_paths:
        paths = scan.path, out / name
        failure = Failure(*(without_folders(text, *paths) for text in (scan.path, reason)))
    return ScanOutcome(failed_line(name, failure))


def tell_error(error: BaseException) -> str:
    """An error in a sentence, with its type if it is not of the kinds that tell of bad input."""
    kind = '' if isinstance(error, (OSError, ValueError)) else f'{type(error).__name__}: '
    return f'{kind}{error}'


def _write_scan(
    predictor: SlicePredictor,
    name: str,
    scan: Scan,
    folder: Path,
    model: ModelInfo,
    settings: Settings,
    show_progress: bool,
) -> ScanResults:
    """Predict a scan and write all its files."""
    classes = predictor.classes
    check_scan(scan, settings)
    prediction = predict_scan(
        predictor, scan, settings.score_thr, settings.batch_size, show_progress
    )
    measured = measure_scan(prediction, classes, settings)
    files = write_masks(folder, prediction, classes)
    by_index = {kept.index: kept for kept in prediction.slices}
    views = {
        index: draw_views(by_index[index], prediction.window, classes)
        for index in measured.suspicious_slices
    }
    files |= write_dicom(folder, prediction, measured, views, classes, model, settings)
    if settings.keep_vectors:
        files |= write_vectors(folder, prediction.slices)
    results = ScanResults(
        schema_version=SCHEMA_VERSION,
        complete=not prediction.failures,
        scan=_describe_scan(scan, prediction),
        errors=prediction.failures,
        classification=measured.classification,
        familiarity=measured.familiarity,
        volumes=measured.volumes,
        lesions_3d=measured.lesions_3d,
        suspicious_slices=measured.suspicious_slices,
        notes=measured.notes,
        model=_describe_model(model, classes),
        settings=_describe_settings(settings, predictor),
        files=files,
        software=software(_PACKAGES),
        created=now(),
        slices=measured.slices,
    )
    if scan.address or not settings.keep_paths:
        results = _without_paths(results, scan, settings)
    write_json(results.to_plain(), folder / 'results.json')
    write_slice_table(folder / 'slices.csv', results.slices)
    _write_page(name, results, views, classes, folder, settings.viewer)
    if settings.viewer:
        page = render_viewer(name, results, prediction, classes)
        write_text(page, folder / 'viewer.html')
    return results


def _write_page(
    name: str,
    results: ScanResults,
    views: Mapping[int, Mapping[str, np.ndarray]],
    classes: Classes,
    folder: Path,
    viewer: bool,
) -> None:
    """Draw the profile, and write the page with it and the most suspicious slices."""
    profile = draw_profile(results.slices, classes, results.familiarity)
    plots = save_plots(dict(profile=profile), folder) if profile else {}
    page = render_page(name, results, views, plots.get('profile'), classes, viewer)
    write_text(page, folder / 'report.html')


def _without_paths(results: ScanResults, scan: Scan, settings: Settings) -> ScanResults:
    """Results that tell names only, of the scan, its slices and the weights.

    If paths are to be told, only the folder is left out that a scan was retrieved to.
    """
    hidden = [scan.path] if settings.keep_paths else [scan.path, scan.source]

    def name(text: str) -> str:
        return without_folders(text, *hidden)

    weights = results.model.weights
    if weights and not settings.keep_paths:
        weights = Path(weights).name
    return replace(
        results,
        scan=replace(results.scan, path=name(results.scan.path)),
        errors=[Failure(name(each.input), name(each.reason)) for each in results.errors],
        model=replace(results.model, weights=weights),
        slices=[replace(row, path=name(row.path)) for row in results.slices],
    )


def _describe_scan(scan: Scan, prediction: Prediction) -> ScanInfo:
    """What was predicted."""
    volume = prediction.volume
    if volume is None:
        return ScanInfo(
            scan.source,
            'pictures',
            prediction.number,
            size=None,
            spacing_mm=None,
            window_hu=None,
            series_uid=None,
            path_sha256=path_hash(scan.source),
        )
    series = volume.metadata.get('series_uid')
    return ScanInfo(
        scan.source,
        'dicom' if series else 'volume',
        prediction.number,
        size=volume.array.shape[::-1],
        spacing_mm=volume.spacing,
        window_hu=prediction.window,
        series_uid=series,
        path_sha256=path_hash(scan.source),
    )


def _describe_model(model: ModelInfo, classes: Classes) -> ScanModel:
    """What predicted, with its classes."""
    return ScanModel(
        model.name,
        model.config_sha256,
        model.weights,
        model.weights_sha256,
        classes.lesion_names,
        classes.image_names,
    )


def _describe_settings(settings: Settings, predictor: SlicePredictor) -> ScanSettings:
    """What the numbers depend on."""
    rules = settings.decision_rules
    return ScanSettings(
        score_thr=settings.score_thr,
        aggregate=choose_rule(settings.aggregate, predictor.scan_rule),
        region=settings.region,
        abstain_below=settings.abstain_below,
        batch_size=settings.batch_size,
        temperature=predictor.temperature,
        precision=predictor.precision,
        device=predictor.device,
        abstain_unfamiliar=settings.abstain_unfamiliar,
        prevalence=None if rules is None else rules.prevalence,
        set_coverage=None if rules is None else rules.set_coverage,
        set_thresholds=None if rules is None else rules.set_thresholds,
        least_lesion_ml=settings.least_lesion_ml,
    )
