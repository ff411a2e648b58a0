import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcovid.data_tools.slice_names import other_spelling, parse_slice_name, slice_source

part = st.text(st.characters(codec='ascii', categories=('L', 'N')), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('NCP_96_1328_0035.png', (2, '96', '1328', '0035')),
        ('CP_1_2_0003.png', (1, '1', '2', '0003')),
        ('Normal_1_2_0003.png', (0, '1', '2', '0003')),
        ('1_1065_3124_0033.png', (1, '1065', '3124', '0033')),
        ('some/folder/0_1_2_3.jpg', (0, '1', '2', '3')),
        ('2_pCT2179.jpg', (2, 'unknown', 'unknown', 'pCT2179')),
        ('NCP_1_2.png', (2, 'unknown', 'unknown', '1_2')),
        # other sources of COVIDx-CT 2 and 3
        (
            'volume-covid19-A-0001-0045.png',
            (None, 'volume-covid19-A-0001', 'volume-covid19-A-0001', '0045'),
        ),
        (
            'volume-covid19-A-0698_ct-0017.png',
            (None, 'volume-covid19-A-0698', 'volume-covid19-A-0698_ct', '0017'),
        ),
        (
            'volume-covid19-A-0180_1-0017.png',
            (None, 'volume-covid19-A-0180', 'volume-covid19-A-0180_1', '0017'),
        ),
        (
            'LIDC-IDRI-0009-1.3.6.1.4.1.14519.5-0035.png',
            (None, 'LIDC-IDRI-0009', '1.3.6.1.4.1.14519.5', '0035'),
        ),
        ('137covid_patient100_SR_2_IM00028.png', (None, '137covid_patient100', 'SR_2', 'IM00028')),
        ('radiopaedia-75659-86500-1-0012.png', (None, 'radiopaedia-75659', '86500-1', '0012')),
        ('radiopaedia_14_85914_0-0105.png', (None, 'radiopaedia_14', '85914_0', '0105')),
        ('coronacases_001-0103.png', (None, 'coronacases_001', 'coronacases_001', '0103')),
        ('HUST-Patient12-0030.png', (None, 'HUST-Patient12', 'HUST-Patient12', '0030')),
        ('COVIDCTMD-P001-IM0042.png', (None, 'COVIDCTMD-P001', 'COVIDCTMD-P001', 'IM0042')),
        ('STOIC-123-0201.png', (None, 'STOIC-123', 'STOIC-123', '0201')),
        ('A012345-CT-CHEST-2-0033.png', (None, 'A012345', 'CT-CHEST-2', '0033')),
        ('study_0255-0021.png', (None, 'study_0255', 'study_0255', '0021')),
        ('somebody-0021.png', (None, 'unknown', 'unknown', 'somebody-0021')),
        ('3_1_2_3.png', (None, 'unknown', 'unknown', '3_1_2_3')),
        ('XNCP_1_2_3.png', (None, 'unknown', 'unknown', 'XNCP_1_2_3')),
    ],
)
def test_known_names(name, expected):
    assert parse_slice_name(name) == expected


@given(
    st.sampled_from([('0', 0), ('1', 1), ('2', 2), ('Normal', 0), ('CP', 1), ('NCP', 2)]),
    part,
    part,
    part,
    st.sampled_from(['.png', '.jpg', '']),
)
def test_parts_come_back(written_and_label, patient, scan, number, suffix):
    written, label = written_and_label
    name = f'{written}_{patient}_{scan}_{number}{suffix}'
    assert parse_slice_name(name) == (label, patient, scan, number)


@given(st.text())
def test_any_text_is_parsed(name):
    parsed = parse_slice_name(name)
    assert parsed.label in (None, 0, 1, 2)
    assert all(isinstance(field, str) for field in parsed[1:])


@pytest.mark.parametrize(
    ('name', 'source'),
    [
        ('CP_1_2_0003.png', 'CNCB'),
        ('1_1_2_0003.png', 'CNCB'),
        ('HUST-Patient1-0001.png', 'iCTCF'),
        ('coronacases_001-0103.png', 'COVID-19-CT-Seg'),
        ('slice7.png', 'unknown'),
    ],
)
def test_sources(name, source):
    assert slice_source(name) == source


@given(st.text(st.characters(codec='ascii'), max_size=30))
def test_no_name_is_of_two_sources(name):
    parsed = parse_slice_name(name)
    assert (parsed.patient_id == 'unknown') == (slice_source(name) == 'unknown')


@given(st.sampled_from(['0', '1', '2', 'Normal', 'CP', 'NCP']), part, part, part)
def test_other_spelling_goes_both_ways(label, patient, scan, number):
    name = f'folder/{label}_{patient}_{scan}_{number}.png'
    other = other_spelling(name)
    assert other != name and other_spelling(other) == name
    assert parse_slice_name(other) == parse_slice_name(name)
    assert other_spelling(f'{label}_pCT12.jpg') is None
