"""Files of each kind that mmcovid reads, and ways to break them."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pydicom
import SimpleITK as sitk
import torch
from ct_utils import chest, write_series, write_slice
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLSLossless, RLELossless

from mmcovid.analysis.evaluation.load import load_dump
from mmcovid.cards import read_model_card
from mmcovid.checkpoints.safetensors import load_from_safetensors, to_safetensors
from mmcovid.classes import IMAGE_CLASSES, Classes
from mmcovid.ct import read_grey, read_segments, read_volume
from mmcovid.data_tools import verification
from mmcovid.data_tools.conversion import read_card
from mmcovid.data_tools.slice_lists import read_slices
from mmcovid.datasets import LesionDataset, VolumeDataset
from mmcovid.results import Failure, ModelInfo
from mmcovid.scans.dicom_seg import write_dicom_seg
from mmcovid.scans.dicom_series import read_images
from mmcovid.scans.former import read_results
from mmcovid.scans.summary import append_lines, failed_line, settle
from mmcovid.statistics.class_scores import read_temperature

HU = chest(3, 16)


class Kind(NamedTuple):
    """A kind of file: its name, how a good one is written, and what reads it."""

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    text: bool = False

    def __str__(self) -> str:
        return self.name


class Mutation(NamedTuple):
    """One change of the bytes of a file, at a place from 0 to 1."""

    kind: str
    place: float
    length: int
    value: bytes

    def apply(self, content: bytes) -> bytes:
        """The content, changed."""
        at = int(self.place * len(content))
        before, after = content[:at], content[at + self.length :]
        if self.kind == 'cut':
            return before
        if self.kind == 'take out':
            return before + after
        if self.kind == 'repeat':
            return before + content[at : at + self.length] * 4 + after
        if self.kind == 'insert':
            return before + self.value + content[at:]
        return before + self.value + content[at + len(self.value) :]


#: Numbers that headers should not have, in the sizes and orders that they have numbers.
NUMBERS = [0, 1, -1, 127, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 10**9]
BINARY = [
    (number % 2 ** (8 * size)).to_bytes(size, order)
    for number in NUMBERS
    for size in (1, 2, 4, 8)
    for order in ('little', 'big')
]
TEXT = [str(number).encode() for number in NUMBERS] + [
    b'-1', b'nan', b'1e999', b'null', b'[]', b'{}', b'""', b'"', b'\n', b'../', b'\0', b'\xff',
]  # fmt: skip
#: The first kilobyte is the header, of most formats.
PLACES = st.floats(0, 1, exclude_max=True) | st.floats(0, 0.2)


def mutations(text: bool) -> st.SearchStrategy:
    """Some changes of a file."""
    one = st.builds(
        Mutation,
        st.sampled_from(['replace', 'replace', 'replace', 'insert', 'take out', 'repeat', 'cut']),
        PLACES,
        st.integers(1, 64),
        st.sampled_from(TEXT if text else BINARY) | st.binary(min_size=1, max_size=8),
    )
    return st.lists(one, min_size=1, max_size=4)


def _volume(**options) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        image = sitk.GetImageFromArray(HU)
        sitk.WriteImage(image, str(path), **options)

    return write


def _dicom(syntax: str | None = None) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        write_slice(path, HU[0])
        dataset = pydicom.dcmread(path)
        if syntax == DeflatedExplicitVRLittleEndian:
            dataset.file_meta.TransferSyntaxUID = syntax
        elif syntax:
            dataset.compress(syntax)
        dataset.save_as(path)

    return write


def _picture(dtype=np.uint8) -> Callable[[Path], None]:
    return lambda path: cv2.imwrite(str(path), (HU[0] + 1100).astype(dtype))


def _json(content: object) -> Callable[[Path], None]:
    return lambda path: path.write_text(json.dumps(content))


def _write_lesions(path: Path) -> None:
    Image.new('L', (8, 6)).save(path.with_name('a_1.png'))
    lesion = dict(id=1, image_id=1, category_id=2, bbox=[1, 1, 4, 3], area=12, iscrowd=0)
    outline = [[1, 1, 5, 1, 5, 4, 1, 4]]
    code = dict(size=[6, 8], counts=[7, 3, 38])
    content = dict(
        info=dict(image_root='.'),
        images=[dict(id=1, file_name='a_1.png', width=8, height=6, patient_id='a')],
        categories=[
            dict(id=number, name=name)
            for number, name in enumerate(('lung', 'ggo', 'consolidation'), 1)
        ],
        annotations=[
            dict(lesion, segmentation=outline),
            dict(lesion, id=2, category_id=1, segmentation=code),
        ],
    )
    path.write_text(json.dumps(content))


def _read_lesions(path: Path) -> None:
    LesionDataset(ann_file=path.name, data_root=str(path.parent), data_prefix=dict(img=''))


def _verify(path: Path) -> None:
    verification.verify([verification.read_set(path, path.parent)], 1, show_progress=False)


def _write_slices(path: Path) -> None:
    entries = [
        dict(img_path=f'{i}.png', gt_label=i, patient_id='p', scan_id='s', width=8, height=6)
        for i in range(3)
    ]
    path.write_text(json.dumps(dict(metainfo=dict(classes=IMAGE_CLASSES), data_list=entries)))


def _write_summary(path: Path) -> None:
    lines = [failed_line(name, Failure(f'{name}.nii', 'a "reason", with\nbreaks')) for name in 'ab']
    append_lines(path.parent, lines)


def _read_summary(path: Path) -> None:
    append_lines(path.parent, [dict(failed_line('c', Failure('c.nii', 'reason')), more=1)])
    settle(path.parent)


def _write_volumes(path: Path) -> None:
    for name in 'ab':
        _volume()(path.with_name(f'{name}.nrrd'))
    path.write_text('a.nrrd 1\nb.nrrd 2\n')


def _read_volumes(path: Path) -> None:
    VolumeDataset(path.name, data_root=str(path.parent), data_prefix=dict(img=''))


def _write_dump(path: Path) -> None:
    entry = dict(img_id='a', gt_label=1, pred_label=1, pred_score=[0.1, 0.8, 0.1], patient_id='p')
    path.write_bytes(pickle.dumps([entry, dict(entry, img_id='b')]))


def _write_safetensors(path: Path) -> None:
    checkpoint = dict(state_dict=dict(weight=torch.zeros(4)), meta=dict(epoch=1, cfg='a = 1'))
    path.write_bytes(to_safetensors(checkpoint))


def _write_segments(path: Path) -> None:
    _volume()(path.with_name('scan.nrrd'))
    layers = np.stack([HU > 0, HU < 0], axis=-1).astype(np.uint8)
    image = sitk.GetImageFromArray(layers, isVector=True)
    for number, name in enumerate(('lung', 'ggo')):
        for key, value in (('Name', name), ('LabelValue', '1'), ('Layer', str(number))):
            image.SetMetaData(f'Segment{number}_{key}', value)
    sitk.WriteImage(image, str(path))


def _read_segments(path: Path) -> None:
    list(read_segments(path, read_volume(path.with_name('scan.nrrd'))))


def _write_dicom_segments(path: Path) -> None:
    series = write_series(path.with_name('series'), HU, FrameOfReferenceUID='1.2.5')
    model = ModelInfo('m', config_sha256=None, weights=None, weights_sha256=None)
    labels = (HU < 0).astype(np.uint8)
    volume = read_volume(series)
    write_dicom_seg(labels, volume, read_images(volume), Classes.of(), model, path)


def _read_dicom_segments(path: Path) -> None:
    list(read_segments(path, read_volume(path.with_name('series'))))


def _examine_mask(path: Path) -> None:
    image = str(path.with_name('a.png'))
    Image.new('L', (8, 6)).save(image)
    verification.examine_slice(verification.SliceFile('a', image, mask=str(path)))


KINDS = [
    Kind('a.nii', _volume(), read_volume),
    Kind('a.nii.gz', _volume(), read_volume),
    Kind('a.nrrd', _volume(), read_volume),
    Kind('gzip.nrrd', _volume(useCompression=True), read_volume),
    Kind('a.nhdr', _volume(), read_volume, text=True),
    Kind('a.mha', _volume(), read_volume),
    Kind('zlib.mha', _volume(useCompression=True), read_volume),
    Kind('a.mhd', _volume(), read_volume, text=True),
    Kind('a.dcm', _dicom(), read_volume),
    Kind('deflated.dcm', _dicom(DeflatedExplicitVRLittleEndian), read_volume),
    Kind('rle.dcm', _dicom(RLELossless), read_volume),
    Kind('jpeg_ls.dcm', _dicom(JPEGLSLossless), read_volume),
    Kind('a.png', _picture(), read_grey),
    Kind('a16.png', _picture(np.uint16), read_grey),
    Kind('a.jpg', _picture(), read_grey),
    Kind('a.tif', _picture(np.uint16), read_grey),
    Kind('a.bmp', _picture(), read_grey),
    Kind('a.pgm', _picture(), read_grey),
    Kind('a.webp', _picture(), read_grey),
    Kind('mask.png', lambda path: Image.new('L', (8, 6), 2).save(path), _examine_mask),
    Kind('a.seg.nrrd', _write_segments, _read_segments),
    Kind('seg.dcm', _write_dicom_segments, _read_dicom_segments),
    Kind('lesions.json', _write_lesions, _read_lesions, text=True),
    Kind('verified.json', _write_lesions, _verify, text=True),
    Kind('slices.json', _write_slices, lambda path: read_slices(str(path), IMAGE_CLASSES), True),
    Kind(
        'slices.txt',
        lambda path: path.write_text('CP_1_1_1.png 1 0 0 5 5\nNCP_2_2_2.png 2\n0_a_3.png\n'),
        lambda path: read_slices(str(path), IMAGE_CLASSES),
        text=True,
    ),
    Kind('volumes.txt', _write_volumes, _read_volumes, text=True),
    Kind('summary.csv', _write_summary, _read_summary, text=True),
    Kind(
        'results.json',
        _json(dict(schema_version=1, scan=dict(path='a.nii'), complete=True)),
        lambda path: read_results(path.parent),
        text=True,
    ),
    Kind(
        'dataset_card.json', _json(dict(splits={})), lambda path: read_card(path.parent), text=True
    ),
    Kind(
        'model_card.json',
        _json(dict(schema_version=1, training={})),
        lambda path: read_model_card(path.parent),
        text=True,
    ),
    Kind(
        'temperature.json',
        _json(dict(lstm2=[dict(temperature=1.5)])),
        lambda path: read_temperature(str(path)),
        text=True,
    ),
    Kind('predictions.pkl', _write_dump, load_dump),
    Kind('a.safetensors', _write_safetensors, lambda path: load_from_safetensors(str(path))),
]
