import csv
import io
import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcovid.utils.escape import cell, dicom_text, file_name, markdown, printable


@pytest.mark.parametrize(
    'text, shown',
    [
        ('scan é 1', 'scan é 1'),
        ('two\nlines', 'two\nlines'),
        ('\x1b[2Jgone', r'\x1b[2Jgone'),  # would clear the screen
        ('a\rb\x07\x9b\t', r'a\rb\x07\x9b\t'),
        ('scan\u202egpj', r'scan\u202egpj'),  # would turn the text round
        ('\udcff', r'\udcff'),  # of a name that is no UTF-8
    ],
)
def test_what_controls_a_terminal_is_spelt_out(text, shown):
    assert printable(text) == shown


@given(st.text(st.characters(codec=None)))
def test_printed_text_controls_nothing(text):
    kinds = {unicodedata.category(char) for char in printable(text, keep='')}
    assert not kinds & {'Cc', 'Cf', 'Cs', 'Zl', 'Zp'}


@pytest.mark.parametrize('name', ['scan', 'NCP_381', 'a.b', 'scan é 1', '1.2.840', 'con1', '=x'])
def test_usual_names_stay(name):
    assert file_name(name) == name


@pytest.mark.parametrize(
    'text, name',
    [
        ('../../x', '_.._.._x'),
        ('a\\b:c', 'a_b_c'),
        ('a\nb\x1b', 'a_b_'),
        ('.', '_'),
        ('..', '_'),
        ('', '_'),
        ('.hidden', '_.hidden'),
        ('dots...  ', 'dots'),
        ('NUL', '_NUL'),
        ('com1.nii', '_com1.nii'),
    ],
)
def test_names_that_are_more_than_a_name(text, name):
    assert file_name(text) == name


@given(st.text(st.characters(codec=None), max_size=400))
def test_any_text_gives_a_name_that_can_be_written(text):
    name = file_name(text)
    assert os.path.basename(name) == name and name not in ('', '.', '..')
    assert len(f'.{name}.1234567.tmp.nii.gz'.encode()) <= 255
    assert file_name(name) == name


def test_long_names_stay_different():
    first, second = ('x' * 300 + end for end in 'ab')
    assert file_name(first) != file_name(second)


@pytest.mark.parametrize(
    'value, shown',
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ('+1+cmd', "'+1+cmd"),
        ('-2+3', "'-2+3"),
        ('@SUM(A1)', "'@SUM(A1)"),
        ('\t=1', "'\t=1"),
        ('\r=1', "'\r=1"),
        ('-1.5e-3', '-1.5e-3'),
        ('+4', '+4'),
        ('-', '-'),
        ('scan', 'scan'),
        (-1.5, -1.5),
        (None, None),
    ],
)
def test_formulae_are_texts_and_numbers_stay_numbers(value, shown):
    assert cell(value) == shown
    assert cell(cell(value)) == shown


@given(st.text(max_size=20))
def test_no_cell_begins_a_formula(text):
    line = io.StringIO()
    csv.writer(line).writerow([cell(text)])
    (read,) = next(csv.reader(io.StringIO(line.getvalue(), newline=''))) or ['']
    assert len(read) < 2 or read[0] not in '=+-@\t\r' or float(read) is not None


def test_dicom_text_is_one_value():
    assert dicom_text('a\\b\x1bc') == r'a_b_x1bc'
    assert len(dicom_text('x' * 100)) == 64


def test_markdown_is_one_line_without_html():
    assert markdown('<img src=x>\n# & more') == '&lt;img src=x> # &amp; more'
