"""The model card of a work dir: ``model_card.json``, and ``model_card.md`` made of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mmcovid.data_tools.conversion import NOT_STATED
from mmcovid.utils.files import to_plain, write_json, write_text
from mmcovid.utils.provenance import config_hash, now

from .markdown import to_markdown
from .schema import CARD_NAME, SCHEMA_VERSION, Card, ConfigFacts

if TYPE_CHECKING:
    from mmengine.config import Config

INTENDED_USE = (
    'Research on chest CT: segmentation of lesions in axial slices and classification of slices, '
    'by researchers who can judge the results.'
)
LIMITS = (
    'For research only. This is no medical device: its output must not guide the care of a '
    'patient.',
    'The figures hold for data like those of the evaluation. Other scanners, protocols, windows '
    'and populations were not tested unless a test in this card says so.',
    'Scores are not calibrated probabilities, and attention weights are no explanation of a class.',
    'The model knows its classes only: whatever else a slice shows is given one of them.',
)
CITATION = (
    'A. Ter-Sarkisov, "One Shot Model For COVID-19 Classification and Lesions Segmentation In '
    'Chest CT Scans Using LSTM With Attention Mechanism", IEEE Intelligent Systems, 2022, '
    'doi:10.1109/MIS.2021.3135474'
)


def describe_config(cfg: 'Config') -> ConfigFacts:
    """Name of a config's file, its hash, and that of its model, which options of a test leave."""
    return dict(
        file=Path(cfg.filename).name if cfg.filename else None,
        hash=config_hash(cfg),
        model_hash=config_hash(type(cfg)(dict(model=cfg.get('model')))),
    )


def read_model_card(folder: str | Path) -> Card | None:
    """The card of a work dir, if it has one.

    Raises:
        ValueError: The file is not a card that this mmcovid understands.
    """
    file = Path(folder) / CARD_NAME
    if not file.is_file():
        return None
    try:
        card = json.loads(file.read_text(encoding='utf-8'))
        known = card['schema_version'] <= SCHEMA_VERSION
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f'{file}: not a model card ({type(error).__name__}: {error}). Move the file away.'
        ) from error
    if not known:
        raise ValueError(f'{file}: written by a newer mmcovid. Update mmcovid.')
    return card


def write_model_card(card: Card, folder: str | Path) -> None:
    """Write both files of a card, each whole or not at all."""
    card = to_plain(dict(card, updated=now()))
    write_json(card, Path(folder) / CARD_NAME)
    write_text(to_markdown(card), (Path(folder) / CARD_NAME).with_suffix('.md'))


def licences(card: Card, role: str = 'train') -> dict[str, str]:
    """Licence of each collection that the data of a role come from, as their data cards say.

    An annotation file without a card is listed by its name, as ``not stated``, and so is a folder
    of images that is read without one.
    """
    found = {}
    for each in card['data'].get(role, ()):
        if not each['annotations']:
            found[each['images'] or each['dataset']] = NOT_STATED
        for annotation in each['annotations']:
            stated = (annotation['data_card'] or {}).get('licences')
            found.update(stated or {annotation['file']: NOT_STATED})
    return found
