"""Key slices as DICOM secondary captures, for viewers that know neither SEG nor SR."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian

from mmcovid.classes import Classes
from mmcovid.ct import CTVolume
from mmcovid.drawing.side_panel import DIM, SidePanel
from mmcovid.results import ModelInfo
from mmcovid.utils.escape import printable
from mmcovid.utils.files import atomic_path

from .dicom_series import equipment, refusal
from .measure import LESIONS, Measurements

_TEXT_SIZE = 15


def write_dicom_sc(
    pictures: Mapping[int, np.ndarray],
    measured: Measurements,
    volume: CTVolume,
    images: Sequence[pydicom.Dataset],
    classes: Classes,
    model: ModelInfo,
    folder: Path,
) -> None:
    """Write a series of pictures, each with a panel that says what it shows.

    The panel stands beside the slice and has nothing of the patient.

    Args:
        pictures (Mapping[int, np.ndarray]): Of slices by index, (H, W, 3), RGB, uint8.
        measured (Measurements): The numbers.
        volume (CTVolume): Read from a DICOM series.
        images (Sequence[pydicom.Dataset]): Its slices, of
            :func:`~mmcovid.scans.dicom_series.read_images`.
        classes (Classes): Of the lesions and the scan.
        model (ModelInfo): What predicted.
        folder (Path): Of the files to write.

    Raises:
        ValueError: A file of the series lacks a tag that captures must have.
    """
    import highdicom as hd

    series = hd.UID()
    for number, (index, picture) in enumerate(pictures.items(), 1):
        source = images[index]
        try:
            capture = hd.sc.SCImage.from_ref_dataset(
                source,
                _beside(picture, _panel(index, measured, len(picture), classes, model)),
                photometric_interpretation='RGB',
                bits_allocated=8,
                coordinate_system='PATIENT',
                patient_orientation=('L', 'P'),  # as the slices of every CTVolume
                series_instance_uid=series,
                series_number=902,
                sop_instance_uid=hd.UID(),
                instance_number=number,
                transfer_syntax_uid=ExplicitVRLittleEndian,
                **equipment(model),
            )
        except (AttributeError, KeyError, ValueError) as error:
            raise refusal(volume, error) from error
        capture.BurnedInAnnotation = 'NO'  # which asks for text that identifies the patient
        capture.BodyPartExamined = 'CHEST'
        capture.SourceImageSequence = hd.ReferencedImageSequence([source])
        with atomic_path(folder / f'{number:03d}.dcm') as temporary:
            capture.save_as(temporary)


def _beside(picture: np.ndarray, panel: np.ndarray) -> np.ndarray:
    """A picture, filled up with black below if need be, with a panel at its right.

    Args:
        picture (np.ndarray): (H, W, 3).
        panel (np.ndarray): (h, w, 3), at least as high.

    Returns:
        np.ndarray: (h, W + w, 3).
    """
    return np.hstack([np.pad(picture, ((0, len(panel) - len(picture)), (0, 0), (0, 0))), panel])


def _panel(
    index: int, measured: Measurements, height: int, classes: Classes, model: ModelInfo
) -> np.ndarray:
    """What a slice shows, and whose word that is, (h, w, 3), RGB, at least as high as asked."""
    panel = SidePanel(_TEXT_SIZE, height)
    panel.text('mmcovid', bold=True, scale=1.2)
    panel.text('Research use only', bold=True)
    panel.text('No medical device, not verified', color=DIM)
    panel.text(printable(model.name, keep=''), color=DIM)
    panel.rule()
    z_mm = next(row.z_mm for row in measured.slices if row.index == index)
    place = '' if z_mm is None else f'z {z_mm:.1f} mm'
    panel.text(f'Slice {index + 1} of {len(measured.slices)}', place)
    if measured.familiarity and not measured.familiarity.familiar:
        panel.text('Unlike the training data', bold=True)
    if found := measured.classification:
        panel.rule()
        panel.text('Scan', classes.display(found.class_), bold=True)
        for name, score in found.scores.items():
            panel.text(classes.display(name), f'{score:.3f}', color=DIM)
    if measured.volumes:
        panel.rule()
        for name, volume in measured.volumes.items():
            swatch = next((each.color for each in classes.lesions if each.name == name), None)
            cells = ['' if volume.ml is None else f'{volume.ml:.0f} ml']
            if name != classes.lung and volume.share_of_lung is not None:
                cells.insert(0, f'{volume.share_of_lung:.1%}')
            shown = 'All lesions' if name == LESIONS else classes.display(name)
            panel.columns(shown, cells, swatch=swatch, filled=name != classes.lung, cell_width=5)
    return panel.picture()
