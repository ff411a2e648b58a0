"""What is written for hospitals: segmentation, structured report and captures, as asked for."""

from collections.abc import Container, Iterable, Mapping
from pathlib import Path

import numpy as np

from mmcovid.classes import Classes
from mmcovid.results import ModelInfo

from .dicom_sc import write_dicom_sc
from .dicom_seg import PROPERTIES, write_dicom_seg
from .dicom_series import check_series, read_images
from .dicom_sr import FINDINGS, write_dicom_sr
from .inputs import Scan
from .measure import Measurements
from .predict import Prediction
from .settings import Settings
from .write import LABEL_MAP

SEGMENTATION, REPORT, CAPTURES = 'segmentation.dcm', 'structured_report.dcm', 'captures/'


def check_dicom(classes: Classes, settings: Settings) -> None:
    """Make sure that DICOM outputs can be written, before hours of prediction.

    Raises:
        ValueError: highdicom is not installed, or a class has no code.
    """
    if not settings.dicom:
        return
    try:
        import highdicom  # noqa: F401
    except ImportError as error:
        raise ValueError('DICOM outputs are written by highdicom: pip install highdicom') from error
    _check_codes(classes.lesion_names, PROPERTIES, 'dicom_seg.PROPERTIES')
    if settings.dicom_sr:
        _check_codes(classes.image_names, FINDINGS, 'dicom_sr.FINDINGS')


def _check_codes(names: Iterable[str], codes: Container[str], place: str) -> None:
    """Make sure that all classes have one."""
    unknown = [name for name in names if name not in codes]
    if unknown:
        raise ValueError(
            f'no DICOM code for the classes {unknown}: leave out --dicom-seg, --dicom-sr and '
            f'--dicom-sc, or add them to mmcovid.scans.{place}'
        )


def check_scan(scan: Scan, settings: Settings) -> None:
    """Make sure that DICOM outputs can refer to a scan; see :func:`check_series`."""
    if settings.dicom:
        check_series(scan)


def write_dicom(
    folder: Path,
    prediction: Prediction,
    measured: Measurements,
    views: Mapping[int, Mapping[str, np.ndarray]],
    classes: Classes,
    model: ModelInfo,
    settings: Settings,
) -> dict[str, str]:
    """Write what the settings ask for.

    Args:
        folder (Path): Where to write.
        prediction (Prediction): Of a DICOM series, if anything is asked for.
        measured (Measurements): The numbers.
        views (Mapping[int, Mapping[str, np.ndarray]]): Pictures of slices by caption, (H, W, 3),
            RGB, uint8, by index; the first of a slice becomes a capture.
        classes (Classes): Of the lesions and the slices.
        model (ModelInfo): What predicted.
        settings (Settings): What to write. A report comes with the segmentation that it refers to.

    Returns:
        dict[str, str]: What each file, or the folder of files, holds.
    """
    files: dict[str, str] = {}
    if not settings.dicom or prediction.volume is None:
        return files
    volume, images = prediction.volume, read_images(prediction.volume)
    segmentation = None
    if prediction.slices[0].labels is not None and (settings.dicom_seg or settings.dicom_sr):
        segmentation = write_dicom_seg(
            prediction.label_map(), volume, images, classes, model, folder / SEGMENTATION
        )
        files[SEGMENTATION] = 'DICOM segmentation'
    if settings.dicom_sr:
        write_dicom_sr(measured, volume, images, segmentation, classes, model, folder / REPORT)
        files[REPORT] = 'DICOM structured report'
    if settings.dicom_sc:
        pictures = {index: next(iter(shown.values())) for index, shown in views.items()}
        write_dicom_sc(pictures, measured, volume, images, classes, model, folder / CAPTURES)
        files[CAPTURES] = 'DICOM secondary captures'
    return files


def find_missing(files: Mapping[str, str], settings: Settings) -> str | None:
    """What is asked for and not among the files of a former run; None if nothing is.

    Args:
        files (Mapping[str, str]): Of the results; without a label map if nothing was segmented.
        settings (Settings): What to write.
    """
    wanted = {
        SEGMENTATION: (settings.dicom_seg or settings.dicom_sr) and LABEL_MAP in files,
        REPORT: settings.dicom_sr,
        CAPTURES: settings.dicom_sc,
    }
    return next((name for name, asked in wanted.items() if asked and name not in files), None)
