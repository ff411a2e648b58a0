from schema_utils import check_schema

from mmcovid.results import (
    ClassVolume,
    Failure,
    MeasuredLesion,
    MeasuredRoIs,
    ScanClass,
    ScanFamiliarity,
    ScanInfo,
    ScanModel,
    ScanResults,
    ScanSettings,
    ScanSlice,
)
from mmcovid.results.scan import SCHEMA_VERSION

SCORES = dict(
    class_='cp', decided=True, leading_class='cp', score=0.6, scores=dict(cp=0.6, ill=0.4)
)
#: The keys of a scan, as docs/en/scan.md has them.
KEYS = [
    'schema_version',
    'complete',
    'scan',
    'errors',
    'classification',
    'familiarity',
    'volumes',
    'lesions_3d',
    'suspicious_slices',
    'notes',
    'model',
    'settings',
    'files',
    'software',
    'created',
    'slices',
]


def results(*slices):
    return ScanResults(
        SCHEMA_VERSION,
        complete=False,
        scan=ScanInfo(
            'a', 'volume', 3, (8, 8, 3), (1.0, 1.0, 2.0), (-600.0, 1500.0), None, '0' * 64
        ),
        errors=[Failure('b.png', 'truncated')],
        classification=ScanClass(
            **SCORES,
            abstain_below=None,
            aggregate='mean',
            region='all',
            num_slices=2,
            first_slice=0,
            last_slice=2,
        ),
        familiarity=ScanFamiliarity(False, 9.5, 8.0, 1, 2),
        volumes=dict(ggo=ClassVolume(3, 0.1, float('nan'))),
        suspicious_slices=[0],
        notes=[],
        model=ScanModel('m', None, None, None, ('ggo',), ('cp', 'ill')),
        settings=ScanSettings(0.3, 'mean', 'lung', None, 4, 1.0, 'fp32', 'cpu'),
        files={},
        software={},
        created='now',
        slices=list(slices),
    )


def test_keys_of_a_scan():
    plain = results().to_plain()
    assert list(plain) == KEYS and plain['schema_version'] == 1
    assert list(plain['classification'])[:5] == [
        'class',
        'decided',
        'leading_class',
        'score',
        'scores',
    ]
    assert plain['classification']['abstain_below'] is None
    assert plain['errors'] == [dict(input='b.png', reason='truncated')]
    assert plain['volumes'] == dict(ggo=dict(voxels=3, ml=0.1, share_of_lung=None))
    assert list(plain['model']) == [
        'name',
        'config_sha256',
        'weights',
        'weights_sha256',
        'classes',
        'image_classes',
    ]
    assert plain['scan']['size'] == [8, 8, 3] and plain['scan']['series_uid'] is None


def test_what_a_model_does_not_tell_of_a_slice_is_absent():
    always = ['index', 'path', 'z_mm', 'in_region']
    box = [1.0, 2.0, 3.0, 4.0]
    made = results(
        ScanSlice(0, 'a#000', None, True, **SCORES),
        ScanSlice(
            1,
            'a#001',
            2.0,
            False,
            pixels=dict(ggo=1),
            area_mm2=dict(ggo=None),
            lesions=[MeasuredLesion('ggo', 0.5, box, 1, None)],
            roi_sequence=MeasuredRoIs([box], [0], [0.5], [1.0]),
        ),
    )
    classified, segmented = made.to_plain()['slices']
    check_schema(made.to_plain(), 'scan_results')
    assert list(classified) == [*always, 'class', 'decided', 'leading_class', 'score', 'scores']
    assert classified['z_mm'] is None
    assert list(segmented) == [*always, 'pixels', 'area_mm2', 'lesions', 'roi_sequence']
    assert segmented['area_mm2'] == dict(ggo=None)
    assert segmented['lesions'] == [
        {'class': 'ggo', 'score': 0.5, 'bbox': [1, 2, 3, 4], 'pixels': 1, 'area_mm2': None}
    ]
