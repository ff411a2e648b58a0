import csv
import re

import matplotlib
import numpy as np

from mmcovid.reporting import STYLE, figure, page, panels, picture_uri, save_plots, write_csv


def test_a_page_escapes_plain_text_and_loads_nothing():
    image = picture_uri(np.zeros((4, 4, 3), np.uint8))
    text = page('<scan> & co', [('Most "suspicious" slices', figure(image, '<b>1</b>', 'a > b'))])
    assert '<h1>&lt;scan&gt; &amp; co</h1>' in text
    assert '<figcaption><b>1</b></figcaption>' in text and 'alt="a &gt; b"' in text
    addresses = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert addresses and all(a.startswith(('#', 'data:')) for a in addresses)
    anchor = re.search(r'<section id="([^"]*)"', text)[1]
    assert anchor == 'most-suspicious-slices'
    assert f'href="#{anchor}"' in text


def test_a_missing_picture_leaves_a_blank():
    assert 'no image' in figure(None, 'caption') and '<img' not in figure(None, 'caption')


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
