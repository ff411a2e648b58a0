import re
from dataclasses import replace

import numpy as np
import pytest

from mmcovid.classes import Classes
from mmcovid.results import (
    ClassVolume,
    Failure,
    Lesion3D,
    Lesions3D,
    LungZone,
    MeasuredLesion,
    ScanClass,
    ScanFamiliarity,
    ScanInfo,
    ScanModel,
    ScanResults,
    ScanSettings,
    ScanSlice,
)
from mmcovid.scans.page import render_page

CLASSES = Classes.of(
    ('Lunge', 'ggo'),
    ('normal', 'cp'),
    palette=[(1, 2, 3), (4, 5, 6)],
    display_names=dict(Lunge='Lung <left & right>'),
    roles=dict(Lunge='lung'),
)
SCORES = dict(
    class_='cp', decided=True, leading_class='cp', score=0.75, scores=dict(normal=0.25, cp=0.75)
)


def results(**changes):
    lesions = [
        MeasuredLesion('ggo', 0.8, [1.0, 2.0, 30.0, 4.0], pixels, None) for pixels in (7, 1200)
    ]
    made = ScanResults(
        1,
        complete=True,
        scan=ScanInfo('<scan>', 'pictures', 2, None, None, None, None, '0' * 64),
        errors=[],
        notes=[],
        suspicious_slices=[0],
        software=dict(mmcovid='1'),
        created='today',
        classification=ScanClass(
            **SCORES,
            abstain_below=None,
            aggregate='max',
            region='lung',
            num_slices=2,
            first_slice=0,
            last_slice=1,
        ),
        familiarity=None,
        volumes=dict(
            Lunge=ClassVolume(12345, None, 1.0),
            ggo=ClassVolume(6, None, 0.5),
            lesions=ClassVolume(6, None, 0.5),
        ),
        model=ScanModel('m', None, None, None, ('Lunge', 'ggo'), ('normal', 'cp')),
        settings=ScanSettings(0.3, 'max', 'lung', None, 4, 1.0, 'fp32', 'cpu'),
        files={'labels/': '0 background'},
        slices=[
            ScanSlice(0, 'x/0.png', None, True, **SCORES, lesions=lesions),
            ScanSlice(1, 'x/1.png', None, False, **SCORES, lesions=[]),
        ],
    )
    return replace(made, **changes)


def page(views=None, profile=None, **changes):
    text = render_page('a scan', results(**changes), views or {}, profile, CLASSES)
    return re.sub(r'\s+', ' ', re.sub('<style>.*?</style>', '', text, flags=re.DOTALL))


def test_texts_are_escaped():
    text = page(notes=['a <b>note</b>'], errors=[Failure('<i>.png', 'not & never')])
    for part in (
        'a &lt;b&gt;note',
        '&lt;i&gt;.png: not &amp; never',
        '&lt;scan&gt;',
        'Lung &lt;left &amp; right&gt;',
    ):
        assert part in text
    assert '<i>.png' not in text and '<scan>' not in text


def test_what_it_tells():
    text = page({0: dict(Slice=np.zeros((8, 8, 3), np.uint8))}, '<svg></svg>')
    for part in (
        'Pneumonia (CP)<small>score 0.750</small>',
        'width:75.0%',
        'Maximum of the scores, divided by their sum, of 2 of 2 slices, those that show '
        'the lung: 0 to 1.',
        '<td>12,345</td><td>–</td>',
        '<td>6</td><td>50.0%</td>',
        'Lesions together',
        'The lung includes its lesions. Pictures tell no size',
        'Slice 0, 0.png: Pneumonia (CP) 0.750',
        'alt="Slice 0: Slice"',
        'Slices on grey have no part',
        'All of 2 with a score of 0.3 or more',
        '--color: rgb(4, 5, 6)',
        '<td>labels/ (0 background)</td>',
        'Pictures have no Hounsfield units',
    ):
        assert part in text, part
    assert text.index('1,200') < text.index('<td>7</td>')  # the largest lesion first


def test_sections_follow_the_model():
    def headings(text):
        return re.findall('<h2>(.*?)</h2>', text)

    ends = ['How it was made', 'Limits']
    assert headings(page()) == ['Result', 'Lesions', *ends]
    classifier = page(volumes=None, slices=[ScanSlice(0, 'a', None, True, **SCORES)])
    assert headings(classifier) == ['Result', *ends]
    segmenter = page(classification=None, slices=[ScanSlice(0, 'a', None, True, lesions=[])])
    assert 'This model does not classify.' in segmenter
    assert 'None with a score of 0.3 or more.' in segmenter


@pytest.mark.parametrize('number, expected', [(15, 'All of 15'), (16, 'The 15 largest of 16')])
def test_no_more_than_the_largest_lesions(number, expected):
    lesions = [MeasuredLesion('ggo', 0.8, [0.0, 0.0, 1.0, 1.0], k, k / 2) for k in range(number)]
    text = page(slices=[ScanSlice(0, 'a', 1.0, True, **SCORES, lesions=lesions)])
    assert expected in text and 'area, mm²' in text


def test_what_is_unlike_the_training_data_is_said():
    unlike = ScanFamiliarity(False, 31.4, 13.5, 1, 2)
    rows = [replace(row, familiar=row.index == 1) for row in results().slices]
    views = {row.index: {} for row in rows}
    told = page(views, familiarity=unlike, slices=rows)
    assert 'score 0.750, unlike the training data' in told
    assert 'Distance from the training data 31.4: unlike them, as the threshold is 13.5' in told
    assert '1 of 2 slices are above it' in told
    assert '0.750, unlike the training data</h3>' in told and '0.750</h3>' in told
    like = page(views, familiarity=replace(unlike, familiar=True, distance=9.0))
    assert 'score 0.750<' in like and '9: like them' in like
    assert 'training data' not in page(views).split('Limits')[0]  # a model that does not know


def test_a_class_that_is_withheld_is_not_on_the_page():
    settings = replace(results().settings, abstain_unfamiliar=True)
    found = replace(results().classification, class_='undecided', decided=False)
    unlike = ScanFamiliarity(False, 31.4, 13.5, 2, 2)
    rows = [replace(row, familiar=False) for row in results().slices]
    told = page(
        {0: {}}, familiarity=unlike, settings=settings, classification=found, slices=rows
    ).rsplit('How it was made', 1)[0]
    assert 'Undecided' in told and 'unlike the training data' in told
    assert '0.750' not in told and 'class="scores"' not in told


def lesions_3d(number, **changes):
    zones = [
        LungZone(side, third, 10.0, 2.5, 0.25 if side == 'right' else None, 1)
        for side in ('right', 'left')
        for third in ('upper', 'middle', 'lower')
    ]
    lesion = Lesion3D(
        'ggo', 0.8, 9, 1.25, dict(ggo=1.25), 3, 7, (0, 0, 3), 'left', 'lower', 'central', 31.0
    )
    return replace(Lesions3D(number, 2, 6, zones, [lesion] * number), **changes)


def test_lesions_of_the_whole_scan():
    text = page(lesions_3d=lesions_3d(11))
    for part in (
        '<b>11</b> lesions, and 2 of less than 0.1 ml that are not listed. What touches',
        '<td>1.25</td><td>left, lower third, central</td><td>31</td><td>3 to 7</td><td>0.800</td>',
        'The 10 largest; results.json has all of them.',
        'Load of the lungs: 6 of 24',
        '<td>25.0%<small>grade 1</small></td><td>–</td>',
    ):
        assert part in text, part
    assert 'Lesions in 3-D' not in page()
    none = page(lesions_3d=lesions_3d(0, left_out=0, zones=None, load_score=None))
    assert '<b>0</b> lesions. What touches' in none and 'Load of the lungs' not in none
