"""Figures and links of the documentation that the code can check."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_configs import NUM_PARAMETERS

from mmcovid.data_tools.phantom.dataset import LESION_SPLITS, SLICE_SPLITS

REPO = Path(__file__).parents[1]
PAGES = [
    REPO / 'README.md',
    REPO / 'CONTRIBUTING.md',
    *sorted((REPO / 'docs').rglob('*.md')),
    *sorted((REPO / 'configs').rglob('*.md')),
]


def table_rows(page, first_cell):
    """Cells of the rows of a page's tables whose first cell begins so."""
    lines = (REPO / 'docs/en' / page).read_text(encoding='utf-8').splitlines()
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in lines
        if line.startswith(f'| {first_cell}')
    ]
    return [row[1:] for row in rows]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(REPO)))
def test_links_lead_to_files(page):
    for link in re.findall(r'\]\(([^)\s]+)\)', page.read_text(encoding='utf-8')):
        target = link.split('#')[0]
        if target and not target.startswith('https://'):
            assert (page.parent / target).exists(), link


@pytest.mark.parametrize(
    'backbone, name',
    zip(
        NUM_PARAMETERS,
        ['ResNet-18', 'ResNet-34', 'ResNet-50', 'ResNeXt-50 32×4d', 'ResNeXt-101 32×8d'],
    ),
)
def test_numbers_of_parameters(backbone, name):
    expected = [f'{number:,}' for number in NUM_PARAMETERS[backbone]]
    assert table_rows('model.md', f'{name} |') == [expected]


@pytest.mark.parametrize(
    'first_cell, splits',
    [('patients of each class', SLICE_SPLITS), ('patients of each lesion class', LESION_SPLITS)],
)
def test_sizes_of_the_phantom(first_cell, splits):
    expected = [f'{size.patients} × {size.slices}' for size in splits.values()]
    assert table_rows('prepare_data.md', first_cell) == [expected]


def test_figure_is_what_its_script_draws(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(REPO / 'docs')
    import draw_data_flow

    committed = draw_data_flow.OUT.read_text(encoding='utf-8')
    monkeypatch.setattr(draw_data_flow, 'OUT', tmp_path / 'data_flow.svg')
    draw_data_flow.main()
    assert draw_data_flow.OUT.read_text(encoding='utf-8') == committed


def package_strings():
    """All strings of the package and its tools, ``…`` in place of what is filled in."""
    for folder in ('mmcovid', 'tools'):
        for path in sorted((REPO / folder).rglob('*.py')):
            for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
                if isinstance(node, ast.JoinedStr):
                    parts = (
                        part.value if isinstance(part, ast.Constant) else '…'
                        for part in node.values
                    )
                    yield re.sub('…[ …]*…', '…', ''.join(parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_messages_of_the_faq_are_those_of_the_package():
    page = (REPO / 'docs/en/faq.md').read_text(encoding='utf-8')
    messages = re.findall(r'^```text\n(.*)\n```$', page, re.MULTILINE)
    strings = list(package_strings())
    missing = [
        message
        for message in messages
        if not any(message.strip('… ') in string for string in strings)
    ]
    assert messages
    assert not missing


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """Pages of the built documentation by their path, without the source code that they quote."""
    folder = tmp_path_factory.mktemp('site')
    subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--quiet', '--site-dir', folder],
        cwd=REPO,
        check=True,
    )
    return {
        path.relative_to(folder).as_posix(): re.sub(
            r'<details class="mkdocstrings-source">.*?</details>',
            '',
            path.read_text(encoding='utf-8'),
            flags=re.DOTALL,
        )
        for path in folder.rglob('*.html')
    }


@pytest.mark.slow
def test_pages_load_nothing_from_other_hosts(site):
    assert len(site) > 100
    loaded = re.compile(r'<(?:script|link|img|iframe)\b[^>]*(?:src|href)="?(?:https?:)?//[^>]*')
    for name, page in site.items():
        assert not loaded.findall(page), name


@pytest.mark.slow
def test_roles_of_docstrings_become_links(site):
    reference = {name: page for name, page in site.items() if name.startswith('reference/')}
    dead = [
        name
        for name, page in reference.items()
        if re.search(r':(?:attr|class|data|func|meth|mod|obj):', page)
    ]
    assert not dead
    link = re.compile(r'class="autorefs autorefs-internal"[^>]*><code>')
    links = link.findall(''.join(reference.values()))
    assert len(links) > 50


@pytest.mark.slow
def test_tutorial_is_a_page_with_its_pictures(site):
    assert 'tutorial_files/' in site['tutorial.html']
