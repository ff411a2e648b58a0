"""Small CT for tests: arrays of Hounsfield units, DICOM files and series."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

STEP = 2.5  # between slices, in mm
SERIES = '1.2.826.0.1.3680043.8.498.1'


def chest(slices=5, size=32):
    """(slices, size, size), HU: air, a body and in it two lungs; no two voxels' worth alike."""
    z, y, x = np.mgrid[:slices, :size, :size]
    y, x = (y - size / 2) / size, (x - size / 2) / size
    hu = np.full(z.shape, -1000)
    hu[(x / 0.45) ** 2 + (y / 0.4) ** 2 < 1] = 40
    for side in (-1, 1):
        hu[((x - side * 0.2) / 0.13) ** 2 + (y / 0.25) ** 2 < 1] = -800
    return (hu + z * 3 + np.round(20 * x + 9 * y)).astype(np.int16)


def header(position=(0, 0, 0), uid=SERIES, **changes):
    """A header of a CT slice without pixels; a change to None takes a tag out."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid(None)
    tags = dict(
        Modality='CT',
        SeriesInstanceUID=uid,
        StudyInstanceUID='1.2.3',
        PatientID='p1',
        SeriesDescription='chest',
        SamplesPerPixel=1,
        PhotometricInterpretation='MONOCHROME2',
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        PixelRepresentation=0,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        ImagePositionPatient=list(map(float, position)),
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[0.7, 0.6],
        SliceThickness=STEP,
    )
    for name, value in {**tags, **changes}.items():
        if value is not None:
            setattr(dataset, name, value)
    return dataset


def write_slice(path, hu, position=(0, 0, 0), **changes):
    """Write a slice (H, W) of HU as DICOM; ``changes`` as in :func:`header`."""
    dataset = header(position, **changes)
    dataset.Rows, dataset.Columns = hu.shape[:2]
    if 'PixelData' not in dataset:
        slope = float(dataset.get('RescaleSlope') or 1)
        stored = (hu.astype(float) - float(dataset.get('RescaleIntercept', 0))) / slope
        dataset.PixelData = np.round(stored).astype(np.uint16).tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return Path(path)


def write_series(folder, hu, step=STEP, names=None, **changes):
    """Write (Z, H, W) as a series, named in another order than that of the slices."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for i, plane in enumerate(hu):
        name = names[i] if names else f'{(i * 7 + 3) % 1000:03d}.dcm'
        write_slice(folder / name, plane, (-10, -20, i * step), **changes)
    return folder
