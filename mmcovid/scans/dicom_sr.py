"""Class, volumes and lesions as a DICOM structured report (TID 1500), linked to the segmentation.

Measurement groups are, in this order: the scan, with its class and scores; each class of the
segmentation; all lesions together; the largest lesions, each as part of the segment of its class.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
from pydicom.sr.codedict import Code, codes

from mmcovid.classes import Classes
from mmcovid.ct import CTVolume
from mmcovid.results import Lesion3D, ModelInfo, ScanClass
from mmcovid.utils.escape import dicom_text
from mmcovid.utils.files import atomic_path
from mmcovid.version import __version__

from .dicom_seg import PROPERTIES
from .dicom_series import RESEARCH_ONLY, equipment, refusal
from .measure import LESIONS, Measurements

if TYPE_CHECKING:
    import highdicom

#: Scheme of the codes for what no standard has one for.
SCHEME = '99MMCOVID'
#: What each class of a scan is called, all in SNOMED CT.
FINDINGS = {
    'normal': codes.SCT.Normal,
    'cp': Code('233604007', 'SCT', 'Pneumonia'),
    'covid19': Code('840539006', 'SCT', 'COVID-19'),
    'undecided': codes.SCT.Undetermined,
}
SCAN_CLASS = Code('scan_class', SCHEME, 'Class of the scan as predicted')
SHARE_OF_LUNG = Code('share_of_lung', SCHEME, 'Share of the lung volume')
MILLILITRE = Code('ml', 'UCUM', 'ml')
CHEST_CT = Code('169069000', 'SCT', 'CT of chest')
#: Lesions that are told one by one.
MOST_LESIONS = 10


def write_dicom_sr(
    measured: Measurements,
    volume: CTVolume,
    images: Sequence[pydicom.Dataset],
    segmentation: 'highdicom.seg.Segmentation | None',
    classes: Classes,
    model: ModelInfo,
    path: Path,
) -> None:
    """Write the numbers of a scan as a structured report that nobody has verified.

    Args:
        measured (Measurements): The numbers.
        volume (CTVolume): Read from a DICOM series.
        images (Sequence[pydicom.Dataset]): Its slices, of
            :func:`~mmcovid.scans.dicom_series.read_images`.
        segmentation (highdicom.seg.Segmentation, optional): Of its masks, as it was written.
        classes (Classes): Of the lesions and the scan.
        model (ModelInfo): What predicted.
        path (Path): File to write, whole or not at all.

    Raises:
        ValueError: A file of the series lacks a tag that reports must refer to.
    """
    import highdicom as hd

    algorithm = _identify(model)
    groups: list = []
    if measured.classification is not None:
        groups.append(_scan_group(measured.classification, images, algorithm))
    if segmentation is not None:
        groups += _class_groups(measured, classes, segmentation, images, algorithm)
        lesions = measured.lesions_3d.lesions[:MOST_LESIONS] if measured.lesions_3d else []
        groups += [
            _lesion_group(number, lesion, classes, segmentation, images, algorithm)
            for number, lesion in enumerate(lesions, 1)
        ]
    report = hd.sr.MeasurementReport(
        observation_context=_observer(model),
        procedure_reported=CHEST_CT,
        imaging_measurements=groups,
    )
    research_only = f'{RESEARCH_ONLY}, this is no medical device. Nobody has verified this report.'
    report[0].ContentSequence.extend(
        hd.sr.TextContentItem(codes.DCM.Comment, text, hd.sr.RelationshipTypeValues.CONTAINS)
        for text in (research_only, *measured.notes)
    )
    evidence = [*images] if segmentation is None else [segmentation, *images]
    try:
        document = hd.sr.EnhancedSR(
            evidence=evidence,
            content=report,
            series_instance_uid=hd.UID(),
            series_number=901,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            is_complete=True,
            **equipment(model),
        )
    except (AttributeError, KeyError, ValueError) as error:
        raise refusal(volume, error) from error
    with atomic_path(path) as temporary:
        document.save_as(temporary)


def _identify(model: ModelInfo) -> 'highdicom.sr.AlgorithmIdentification':
    """The model, by which every measurement group is told to be made."""
    import highdicom as hd

    return hd.sr.AlgorithmIdentification(
        name=dicom_text(f'mmcovid {model.name}'),
        version=__version__,
        parameters=[f'weights_sha256={model.weights_sha256 or ""}'],
    )


def _observer(model: ModelInfo) -> 'highdicom.sr.ObservationContext':
    """A device, of one UID for the same weights."""
    import highdicom as hd

    weights = model.weights_sha256 or 'random weights'
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=pydicom.uid.generate_uid(entropy_srcs=['mmcovid', model.name, weights]),
        name='mmcovid',
        manufacturer_name='mmcovid',
        model_name=dicom_text(model.name),
        serial_number=weights[:16],
    )
    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(codes.DCM.Device, device)
    )


def _scan_group(
    found: ScanClass,
    images: Sequence[pydicom.Dataset],
    algorithm: 'highdicom.sr.AlgorithmIdentification',
) -> 'highdicom.sr.MeasurementsAndQualitativeEvaluations':
    """Class and scores, of the slices that they were read from.

    Scores have a name for each class: as certainties of findings, a low score would be read as a
    finding.
    """
    import highdicom as hd

    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(identifier='scan'),
        finding_sites=[hd.sr.FindingSite(codes.SCT.Lung)],
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(SCAN_CLASS, FINDINGS[found.class_])],
        measurements=[
            hd.sr.Measurement(
                name=Code(f'score_{name}', SCHEME, f'Score of {FINDINGS[name].meaning}'),
                value=score,
                unit=codes.UCUM.NoUnits,
            )
            for name, score in found.scores.items()
        ],
        source_images=[
            hd.sr.SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID)
            for image in images[found.first_slice : found.last_slice + 1]
        ],
        algorithm_id=algorithm,
    )


def _class_groups(
    measured: Measurements,
    classes: Classes,
    segmentation: 'highdicom.seg.Segmentation',
    images: Sequence[pydicom.Dataset],
    algorithm: 'highdicom.sr.AlgorithmIdentification',
) -> list:
    """Volume and share of each class with its segment, and of all lesions together."""
    import highdicom as hd

    groups: list = []
    for name, volume in (measured.volumes or {}).items():
        share = None if name == classes.lung else volume.share_of_lung
        kind = 'lesion' if name == LESIONS else name
        told = _tell(name, kind, _measure(volume.ml, share), algorithm)
        if name == LESIONS:
            groups.append(hd.sr.MeasurementsAndQualitativeEvaluations(**told))
            continue
        segment = hd.sr.ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            classes.lesion_names.index(name) + 1,
            source_series=hd.sr.SourceSeriesForSegmentation(images[0].SeriesInstanceUID),
        )
        groups.append(
            hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
                referenced_segment=segment, **told
            )
        )
    return groups


def _lesion_group(
    number: int,
    lesion: Lesion3D,
    classes: Classes,
    segmentation: 'highdicom.seg.Segmentation',
    images: Sequence[pydicom.Dataset],
    algorithm: 'highdicom.sr.AlgorithmIdentification',
) -> 'highdicom.sr.VolumetricROIMeasurementsAndQualitativeEvaluations':
    """A lesion, by the segment of its class and the slices that it is on.

    Frames of the segment are not named: DICOM allows a segment or frames in a reference, not both.
    """
    import highdicom as hd

    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=hd.sr.ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            classes.lesion_names.index(lesion.class_) + 1,
            source_images=[
                hd.sr.SourceImageForSegmentation(image.SOPClassUID, image.SOPInstanceUID)
                for image in images[lesion.first_slice : lesion.last_slice + 1]
            ],
        ),
        **_tell(f'lesion {number}', lesion.class_, _measure(lesion.ml), algorithm),
    )


def _tell(
    name: str,
    lesion_class: str,
    measurements: list['highdicom.sr.Measurement'],
    algorithm: 'highdicom.sr.AlgorithmIdentification',
) -> dict[str, Any]:
    """What every measurement group of a finding has, as highdicom's classes take it."""
    import highdicom as hd

    category, kind = PROPERTIES[lesion_class]
    return dict(
        tracking_identifier=hd.sr.TrackingIdentifier(identifier=name),
        finding_category=category,
        finding_type=kind,
        finding_sites=[hd.sr.FindingSite(codes.SCT.Lung)],
        measurements=measurements,
        algorithm_id=algorithm,
    )


def _measure(ml: float | None, share: float | None = None) -> list['highdicom.sr.Measurement']:
    """A volume, and its share of the lung if it has one."""
    import highdicom as hd

    assert ml is not None  # of a CT series
    measurements = [hd.sr.Measurement(codes.SCT.Volume, ml, MILLILITRE)]
    if share is not None:
        measurements.append(hd.sr.Measurement(SHARE_OF_LUNG, share * 100, codes.UCUM.Percent))
    return measurements
