import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcovid.datasets import parse_slice_name

part = st.text(st.characters(codec='ascii', categories=('L', 'N')), min_size=1, max_size=6)


@pytest.mark.parametrize(('name', 'expected'), [
    ('NCP_96_1328_0035.png', (2, '96', '1328', '0035')),
    ('CP_1_2_0003.png', (1, '1', '2', '0003')),
    ('Normal_1_2_0003.png', (0, '1', '2', '0003')),
    ('1_1065_3124_0033.png', (1, '1065', '3124', '0033')),
    ('some/folder/0_1_2_3.jpg', (0, '1', '2', '3')),
    ('2_pCT2179.jpg', (2, 'unknown', 'unknown', 'pCT2179')),
    ('NCP_1_2.png', (2, 'unknown', 'unknown', '1_2')),
    ('radiopaedia_14_85914_0-0105.png', (None, 'unknown', 'unknown',
                                         'radiopaedia_14_85914_0-0105')),
    ('3_1_2_3.png', (None, 'unknown', 'unknown', '3_1_2_3')),
    ('XNCP_1_2_3.png', (None, 'unknown', 'unknown', 'XNCP_1_2_3')),
])
def test_known_names(name, expected):
    assert parse_slice_name(name) == expected


@given(st.sampled_from([('0', 0), ('1', 1), ('2', 2), ('Normal', 0), ('CP', 1), ('NCP', 2)]), part,
       part, part, st.sampled_from(['.png', '.jpg', '']))
def test_parts_come_back(written_and_label, patient, scan, number, suffix):
    written, label = written_and_label
    name = f'{written}_{patient}_{scan}_{number}{suffix}'
    assert parse_slice_name(name) == (label, patient, scan, number)


@given(st.text())
def test_any_text_is_parsed(name):
    parsed = parse_slice_name(name)
    assert parsed.label in (None, 0, 1, 2)
    assert all(isinstance(field, str) for field in parsed[1:])
