import csv
import math
import re

import matplotlib
import numpy as np
import pytest
from jinja2 import ChoiceLoader, FileSystemLoader

from mmcovid.reporting import STYLE, panels, picture_uri, save_plots, templating, write_csv
from mmcovid.results import Estimate


@pytest.fixture
def make_page(tmp_path, monkeypatch):
    """Make a page of a template's text, beside those of the package."""
    loader = ChoiceLoader([FileSystemLoader(tmp_path), templating._ENVIRONMENT.loader])
    monkeypatch.setattr(templating, '_ENVIRONMENT', templating._ENVIRONMENT.overlay(loader=loader))

    def make(text, **context):
        (tmp_path / 'own.html').write_text(
            "{% extends 'base.html' %}{% from 'macros.html' import figure, marked, number, table %}"
            + text
        )
        return templating.render('own.html', **context)

    return make


def test_a_page_escapes_plain_text_and_loads_nothing(make_page):
    text = make_page(
        "{% set content %}{{ figure(image, caption, 'a > b') }}{% endset %}"
        '{% set sections = [(\'Most "suspicious" slices\', content)] %}',
        title='<scan> & co',
        image=picture_uri(np.zeros((4, 4, 3), np.uint8)),
        caption='<b>1</b>',
    )
    assert text.startswith('<!DOCTYPE html>')
    assert '<h1>&lt;scan&gt; &amp; co</h1>' in text
    assert '<figcaption>&lt;b&gt;1&lt;/b&gt;</figcaption>' in text and 'alt="a &gt; b"' in text
    addresses = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert addresses and all(a.startswith(('#', 'data:')) for a in addresses)
    assert '<script' not in text
    anchor = re.search(r'<section id="([^"]*)"', text)[1]
    assert anchor == 'most-suspicious-slices'
    assert f'href="#{anchor}"' in text


def test_a_missing_picture_leaves_a_blank(make_page):
    text = make_page("{% set sections = [('A', figure(none, 'caption'))] %}", title='')
    assert 'no image' in text and '<img' not in text


@pytest.mark.parametrize(
    'estimate, signed, shown',
    [
        (Estimate(0.5, -0.1, 0.6), False, '<b>0.500</b> <span class="ci">−0.100 to 0.600</span>'),
        (Estimate(0.5, 0.4, 0.6), True, '<b>+0.500</b> <span class="ci">+0.400 to +0.600</span>'),
        (Estimate(1, 1, 1), False, '<b>1.000</b> <span class="ci">†</span>'),
        (
            Estimate(1, math.nan, math.nan, 0.25),
            False,
            '<b>1.000</b> <span class="ci">no interval</span> <span class="ci">SD 0.250</span>',
        ),
        (Estimate(math.nan, math.nan, math.nan), False, '<span class="dim">undefined</span>'),
    ],
)
def test_a_figure_with_its_interval(make_page, estimate, signed, shown):
    text = make_page(
        "{% set sections = [('A', number(e, signed))] %}", title='', e=estimate, signed=signed
    )
    assert text.split('<h2>A</h2>')[1].startswith(shown)


def test_an_effect_is_marked(make_page):
    for estimate, css in ((Estimate(0.5, 0.4, 0.6), 'clear'), (Estimate(0.5, -0.4, 0.6), '')):
        text = make_page("{% set sections = [('A', marked(e))] %}", title='', e=estimate)
        assert f'<h2>A</h2><span class="{css}">' in text


def test_the_same_plot_gives_the_same_files(tmp_path):
    def draw():
        with matplotlib.rc_context(STYLE):
            plot, axes = panels(1, 2)
            axes[0, 1].plot([0, 1], [1, 0])
        return dict(line=plot)

    texts = save_plots(draw(), tmp_path / 'a')
    assert texts['line'] == save_plots(draw(), tmp_path / 'b')['line']
    for name in ('line.svg', 'line.png'):
        assert (tmp_path / 'a' / name).read_bytes() == (tmp_path / 'b' / name).read_bytes()


def test_undefined_and_missing_cells_are_empty(tmp_path):
    path = tmp_path / 'new' / 'table.csv'
    write_csv(path, ['a', 'b', 'c'], [dict(a='x,y', b=float('nan'))])
    with open(path, newline='') as file:
        assert list(csv.DictReader(file)) == [dict(a='x,y', b='', c='')]
