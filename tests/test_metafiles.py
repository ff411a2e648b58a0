"""MIM finds models by model-index.yml and the metafiles that it lists."""

from pathlib import Path

import pytest
import yaml

REPO = Path(__file__).parents[1]
METAFILES = sorted((REPO / 'configs').rglob('metafile.yml'))


def read(path):
    return yaml.safe_load(path.read_text(encoding='utf-8'))


def test_index_lists_every_metafile():
    listed = [REPO / name for name in read(REPO / 'model-index.yml')['Import']]
    assert sorted(listed) == METAFILES


@pytest.mark.parametrize('path', METAFILES, ids=lambda path: path.parent.name)
def test_entries(path):
    meta = read(path)
    collections = {collection['Name'] for collection in meta['Collections']}
    for collection in meta['Collections']:
        assert (REPO / collection['README']).is_file()
    for model in meta['Models']:
        config = REPO / model['Config']
        assert config.is_file() and config.parent == path.parent
        assert config.stem == model['Name']
        assert model['In Collection'] in collections


def test_every_config_has_an_entry():
    names = [model['Name'] for path in METAFILES for model in read(path)['Models']]
    configs = [p for p in (REPO / 'configs').rglob('*.py') if '_base_' not in p.parts]
    assert sorted(names) == sorted(config.stem for config in configs)
