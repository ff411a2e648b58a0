"""Does a scan come back from a real archive as it went there?

Scans are written as DICOM series of made-up patients and stored in an Orthanc that this script
starts on loopback, with a password. "mmcovid infer" reads them from there and stores what it made;
all is read back by other programs and compared: voxels with the label map, numbers with
results.json, and both with those of the same series read from the disk. Then a report is deleted
in the archive, and "--resume --store" has to bring it back. dciodvfy (Debian: dicom3tools) checks
the objects, if it is there.

Needs Orthanc with its DICOMweb plugin (Debian: orthanc, orthanc-dicomweb) and
pip install '.[dicom,runtime]'. The outcome is 1 if anything differs.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydicom
import requests
import SimpleITK as sitk
from dicomweb_client import DICOMwebClient
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from mmcovid.ct import read_volume

USER = 'mmcovid'
PLUGIN = '/usr/share/orthanc/plugins/libOrthancDicomWeb.so'
#: Numbers of results.json that do not depend on where a scan is from.
NUMBERS = ('classification', 'volumes', 'suspicious_slices')


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('scans', nargs='+', type=Path, help='volumes of HU, such as .nii.gz')
    parser.add_argument('--weights', required=True, help='checkpoint, or file of mmcovid export')
    parser.add_argument('--out', type=Path, required=True, help='folder; it must not exist')
    parser.add_argument('--orthanc', default='Orthanc', help='(default: %(default)s)')
    parser.add_argument('--plugin', default=PLUGIN, help='(default: %(default)s)')
    parser.add_argument('--serve', action='store_true', help='leave Orthanc running at the end')
    return parser.parse_args(argv)


def write_series(path, folder, number):
    """A volume as a CT series of a made-up patient, a file for each slice; its study's UID."""
    volume, study, series, frame = read_volume(path), *(generate_uid() for _ in range(3))
    folder.mkdir(parents=True)
    for index, plane in enumerate(volume.array):
        position = volume.grid.origin + volume.grid.direction[:, 2] * index * volume.spacing[2]
        ct = pydicom.Dataset()
        ct.file_meta = pydicom.dataset.FileMetaDataset()
        ct.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ct.file_meta.MediaStorageSOPClassUID = ct.SOPClassUID = CTImageStorage
        ct.file_meta.MediaStorageSOPInstanceUID = ct.SOPInstanceUID = generate_uid()
        ct.SpecificCharacterSet = 'ISO_IR 192'
        ct.ImageType = ['ORIGINAL', 'PRIMARY', 'AXIAL']
        ct.StudyDate, ct.StudyTime = '20200301', '120000'
        ct.ContentDate, ct.ContentTime, ct.StudyID = '20200301', '120000', str(number)
        ct.AccessionNumber, ct.ReferringPhysicianName = '', ''
        ct.PatientName, ct.PatientID = f'Phantom^Müller {number}', f'PHANTOM-{number}'
        ct.PatientBirthDate, ct.PatientSex = '', 'O'
        ct.Modality, ct.Manufacturer, ct.PatientPosition = 'CT', 'mmcovid phantom', 'HFS'
        ct.BodyPartExamined, ct.PositionReferenceIndicator = 'CHEST', ''
        ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.FrameOfReferenceUID = study, series, frame
        ct.SeriesNumber, ct.InstanceNumber, ct.AcquisitionNumber, ct.KVP = 2, index + 1, 1, 120
        ct.ImagePositionPatient = [round(float(value), 6) for value in position]
        ct.ImageOrientationPatient = volume.grid.direction[:, :2].T.ravel().tolist()
        ct.PixelSpacing = [volume.spacing[1], volume.spacing[0]]
        ct.SliceThickness = volume.spacing[2]
        ct.RescaleSlope, ct.RescaleIntercept, ct.RescaleType = 1, 0, 'HU'
        ct.SamplesPerPixel, ct.PhotometricInterpretation = 1, 'MONOCHROME2'
        ct.Rows, ct.Columns = plane.shape
        ct.BitsAllocated, ct.BitsStored, ct.HighBit, ct.PixelRepresentation = 16, 16, 15, 1
        ct.PixelData = plane.astype('<i2').tobytes()
        ct.save_as(folder / f'{index:04d}.dcm', enforce_file_format=True)
    return study


@contextlib.contextmanager
def orthanc(args, password):
    """Orthanc with an empty store; yields the URL of its DICOMweb."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    folder = (args.out / 'orthanc').absolute()
    folder.mkdir()
    config = dict(
        Name='mmcovid check',
        StorageDirectory=str(folder / 'storage'),
        IndexDirectory=str(folder / 'index'),
        HttpPort=port,
        RemoteAccessAllowed=False,
        DicomServerEnabled=False,
        AuthenticationEnabled=True,
        RegisteredUsers={USER: password},
        Plugins=[args.plugin],
    )
    (folder / 'orthanc.json').write_text(json.dumps(config, indent=2))
    with open(folder / 'log', 'w') as log:
        process = subprocess.Popen(
            [args.orthanc, str(folder / 'orthanc.json')], stdout=log, stderr=log
        )
    url = f'http://127.0.0.1:{port}'
    try:
        for _ in range(100):
            with contextlib.suppress(requests.ConnectionError):
                system = requests.get(f'{url}/system', auth=(USER, password), timeout=5).json()
                break
            time.sleep(0.1)
        else:
            raise SystemExit(f'error: Orthanc does not start, see {folder / "log"}')
        print(f'Orthanc {system["Version"]} on {url}, with a password')
        yield url
    finally:
        process.terminate()
        process.wait()


class Checks:
    """What has to hold; told line by line."""

    def __init__(self):
        self.good = True

    def __call__(self, what, holds):
        self.good &= bool(holds)
        print(f'{"ok   " if holds else "WRONG"} {what}')


def infer(args, log, inputs, *options):
    """Run the command, as a user would; the password is in a file of its own."""
    environment = dict(os.environ, NETRC=str(args.out / 'netrc'))
    command = [sys.executable, '-m', 'mmcovid.cli', 'infer', *inputs, '--weights', args.weights]
    with open(args.out / log, 'w') as file:
        done = subprocess.run([*command, *options], env=environment, stdout=file, stderr=file)
    return done.returncode


def find_objects(client, study):
    """All but the CT of a study, by modality, in the order of their numbers."""
    found = {}
    for series in client.search_for_series(study):
        modality = series['00080060']['Value'][0]
        if modality != 'CT':
            objects = client.retrieve_series(study, series['0020000E']['Value'][0])
            found[modality] = sorted(objects, key=lambda each: int(each.InstanceNumber))
    return found


def read_segments(segmentation, ct):
    """Masks of a segmentation by the label of its segment, (Z, H, W), by the order of the slices.

    Read by hand from frames and references, not by what wrote them.
    """
    place = {image.SOPInstanceUID: index for index, image in enumerate(ct)}
    labels = {each.SegmentNumber: each.SegmentLabel for each in segmentation.SegmentSequence}
    shape = (len(ct), segmentation.Rows, segmentation.Columns)
    masks = {label: np.zeros(shape, bool) for label in labels.values()}
    frames = segmentation.pixel_array.reshape(-1, *shape[1:])
    for frame, group in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        masks[labels[number]][place[source.ReferencedSOPInstanceUID]] = frame
    return masks


def read_report(document):
    """Class of the scan, scores, and (ml, % of the lung) by tracking identifier, from a report.

    Read by hand too.
    """
    (measurements,) = (each for each in document.ContentSequence if _concept(each) == '126010')
    groups = {}
    for group in measurements.ContentSequence:
        items = group.ContentSequence
        (name,) = (each.TextValue for each in items if _concept(each) == '112039')
        groups[name] = {
            _concept(each): float(each.MeasuredValueSequence[0].NumericValue)
            for each in items
            if each.ValueType == 'NUM'
        } | {
            _concept(each): each.ConceptCodeSequence[0].CodeMeaning
            for each in items
            if each.ValueType == 'CODE'
        }
    scan = groups.pop('scan')
    scores = [value for code, value in scan.items() if code.startswith('score_')]
    measured = {
        name: (values['118565006'], values.get('share_of_lung')) for name, values in groups.items()
    }
    return scan['scan_class'], scores, measured


def _concept(item):
    """Code of an item's name."""
    return item.ConceptNameCodeSequence[0].CodeValue


def check_study(checks, client, study, folder, local, series):
    """Compare what is in the archive of a study with what was written on the disk."""
    ct = sorted(
        (pydicom.dcmread(path, stop_before_pixels=True) for path in series.iterdir()),
        key=lambda image: image.ImagePositionPatient[2],
    )
    results, alone = (json.loads((each / 'results.json').read_text()) for each in (folder, local))
    checks('numbers of the archive and of the disk', all(results[k] == alone[k] for k in NUMBERS))
    found = find_objects(client, study)
    checks(
        'SEG, SR and captures are there',
        {k: len(v) for k, v in found.items()}
        == dict(SEG=1, SR=1, OT=len(results['suspicious_slices'])),
    )
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / 'labels.nii.gz')))
    for name, mask in read_segments(found['SEG'][0], ct).items():
        known = (
            labels > 0 if name == 'lung' else labels == results['model']['classes'].index(name) + 1
        )
        checks(f'segment {name}: {mask.sum()} voxels as in the label map', (mask == known).all())
    meaning, scores, measured = read_report(found['SR'][0])
    checks(
        f'report: {meaning}, scores as in results.json',
        np.allclose(scores, list(results['classification']['scores'].values()), atol=1e-9),
    )
    for name, volume in results['volumes'].items():
        ml, share = measured[name]
        known = 100 * volume['share_of_lung'] if name != 'lung' else None
        same = np.isclose(ml, volume['ml']) and (share is None) == (known is None)
        checks(
            f'report: {name} {ml:.1f} ml'
            + ('' if share is None else f', {share:.2f} % of the lung'),
            same and (share is None or np.isclose(share, known)),
        )
    ids = {
        (each.PatientID, each.StudyInstanceUID) for objects in found.values() for each in objects
    }
    checks('all are of the patient and the study', ids == {(ct[0].PatientID, study)})


def validate(checks, folder):
    """Have the objects checked by dciodvfy, where it is installed."""
    files = sorted(map(str, folder.rglob('*.dcm')))
    if program := shutil.which('dciodvfy'):
        said = [
            line
            for file in files
            for line in subprocess.run(
                [program, file], capture_output=True, text=True
            ).stderr.splitlines()
        ]
        errors = [line for line in said if line.startswith('Error')]
        warnings = sorted({line for line in said if line.startswith('Warning')})
        print('\n'.join(sorted(set(errors)) + warnings))
        checks(f'dciodvfy: {len(files)} files, {len(errors)} errors', not errors)


def check_round_trip(args, checks, client, inputs):
    """Retrieve, predict and store; and the same from the disk."""
    results, local = args.out / 'results', args.out / 'local'
    status = infer(args, 'infer.log', inputs, '--out', str(results), '--store')
    print((args.out / 'infer.log').read_text().strip().splitlines()[-1])
    checks('query, retrieve, predict, store: exit status 0', status == 0)
    folders = sorted((args.out / 'series').iterdir())
    status = infer(args, 'local.log', map(str, folders), '--out', str(local))
    checks('the same from the disk: exit status 0', status == 0)
    for series in folders:
        print(f'-- {series.name}')
        first = pydicom.dcmread(next(series.iterdir()), stop_before_pixels=True)
        folder = results / first.SeriesInstanceUID
        check_study(checks, client, first.StudyInstanceUID, folder, local / series.name, series)


def check_resume(args, checks, client, url, session, study, inputs):
    """Delete a report in the archive, and have it stored again."""
    query = dict(Level='Series', Query=dict(Modality='SR', StudyInstanceUID=study))
    (lost,) = session.post(f'{url}/tools/find', json=query, timeout=30).json()
    session.delete(f'{url}/series/{lost}', timeout=30).raise_for_status()
    gone = 'SR' not in find_objects(client, study)
    options = '--out', str(args.out / 'results'), '--store', '--resume'
    status = infer(args, 'resume.log', inputs, *options)
    back = find_objects(client, study)
    checks(
        'a report deleted in the archive is back after --resume --store',
        gone and status == 0 and len(back.get('SR', ())) == len(back['SEG']) == 1,
    )


def check_refusal(args, checks, inputs, password):
    """A wrong password is told, and the right one is in no file but Orthanc's and netrc."""
    netrc = args.out / 'netrc'
    netrc.write_text(f'machine 127.0.0.1 login {USER} password wrong\n')
    status = infer(args, 'refused.log', inputs, '--out', str(args.out / 'refused'))
    said = (args.out / 'refused.log').read_text()
    print(said.strip().splitlines()[0])
    checks('a wrong password is told', status == 1 and 'answers 401' in said)
    netrc.unlink()
    written = [path for path in args.out.rglob('*') if args.out / 'orthanc' not in path.parents]
    leaks = [path for path in written if path.is_file() and password.encode() in path.read_bytes()]
    checks('the password is in no file', not leaks)


def main(argv=None):
    args = parse_args(argv)
    args.out.mkdir(parents=True)
    password, checks = secrets.token_urlsafe(16), Checks()
    netrc = args.out / 'netrc'
    netrc.touch(0o600)
    netrc.write_text(f'machine 127.0.0.1 login {USER} password {password}\n')
    studies = [
        write_series(path, args.out / 'series' / path.name.split('.')[0], number)
        for number, path in enumerate(args.scans, 1)
    ]
    with orthanc(args, password) as url:
        session = requests.Session()
        session.auth = USER, password
        client = DICOMwebClient(f'{url}/dicom-web', session)
        for path in sorted((args.out / 'series').rglob('*.dcm')):
            client.store_instances([pydicom.dcmread(path)])
        inputs = [f'dicomweb+{url}/dicom-web/studies/{study}' for study in studies]
        check_round_trip(args, checks, client, inputs)
        check_resume(args, checks, client, url, session, studies[-1], inputs)
        check_refusal(args, checks, inputs[:1], password)
        validate(checks, args.out / 'results')
        print('all as it should be' if checks.good else 'SOMETHING DIFFERS', flush=True)
        if args.serve:
            print(f'{url}, user {USER}, password {password}; interrupt to end', flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                time.sleep(10**6)
    return 0 if checks.good else 1


if __name__ == '__main__':
    sys.exit(main())
