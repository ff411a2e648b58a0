import dataclasses
import json
import re

import pytest
from attention_utils import make_report
from schema_utils import check_schema

from mmcovid.analysis.attention.page import Picture, lay_out
from mmcovid.classes import DEFAULT, Classes
from mmcovid.utils.files import write_json


@pytest.fixture(scope='module')
def report():
    return make_report()


def words(page):
    """The text of a page, without tags."""
    return ' '.join(re.sub(r'<[^>]+>', ' ', page).split())


def lay_out_with(report, **options):
    given = dict(classes=DEFAULT, plots={}, pictures=[], title='Attention: x') | options
    return lay_out(report, **given)


def test_sections_and_figures(report):
    page = lay_out_with(report, pictures=[Picture('data:image/jpeg;base64,AA==', 'p1/<1>.png')])
    assert re.findall(r'<h2>(.*?)</h2>', page) == [
        'Summary',
        'Deletion',
        'Lesion classes',
        'Regions',
        'Order',
        'True lesions',
        'Slices',
        'Method',
    ]
    text = words(page)
    assert '6 of the slices with class labels, 3 patients 2 true Normal, 2 true Pneumonia' in text
    assert 'class-relevant' not in text and 'attention slices with class labels 0.300' in text
    assert 'Lesion set: no lung found' not in text  # a sentence goes on
    assert 'lesion set: no lung found in 4 slices' in text
    assert 'share of the RoIs’ pixels that is GGO or Consolidation.' in text
    assert '<code>a&lt;b&gt;.py</code>' in page and 'p1/&lt;1&gt;.png' in page
    assert '<li>1 &lt; 2 slices</li>' in page


def test_sections_without_content_are_left_out(report):
    sets = dict(cls=dataclasses.replace(report.sets['cls'], deletion=[]))
    page = lay_out_with(dataclasses.replace(report, sets=sets))
    assert re.findall(r'<h2>(.*?)</h2>', page) == [
        'Summary',
        'Lesion classes',
        'Regions',
        'Order',
        'Method',
    ]
    assert words(page).count('–') == 4  # nothing was dropped


def test_shares_that_are_not_known_and_marks(report):
    page = lay_out_with(report)
    assert '<span class="clear"><b>+0.100</b>' in page  # the same in all slices
    assert page.count('<details open><summary>Slices with class labels') == 2
    assert '<details><summary>Lesion set' in page


def test_classes_have_their_display_names_on_the_page_and_plain_ones_in_json(report, tmp_path):
    classes = Classes.of(display_names=dict(ggo='Ground glass', cp='Other pneumonia'))
    text = words(lay_out_with(report, classes=classes))
    assert 'true Other pneumonia' in text and 'Ground glass' in text
    assert 'ggo' not in text and 'true cp' not in text
    write_json(report, tmp_path / 'attention.json')
    data = json.loads((tmp_path / 'attention.json').read_text())
    check_schema(data, 'attention_report')
    assert data['schema_version'] == 2 and list(data)[0] == 'schema_version'
    assert data['sets']['cls']['set']['groups']['true cp'] == 2
    assert {
        row['name'] for row in data['sets']['cls']['shares'] if row['kind'] == 'lesion class'
    } == {'lung', 'ggo', 'consolidation'}
