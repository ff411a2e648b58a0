"""What a converted set was made of, beside its annotations."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmcovid.utils.files import sha256, write_json
from mmcovid.version import __version__

CARD_NAME = 'dataset_card.json'
PHANTOM = 'phantom of mmcovid'
NOT_STATED = 'not stated'
#: Licences of the collections that slices come from, as COVIDNet-CT, which gathered them into
#: COVIDx-CT, states them: github.com/haydengunraj/COVIDNet-CT, docs/licenses_acknowledgements.md.
LICENCES = {
    'CNCB': 'CC BY 3.0 CN',
    'TCIA': 'CC BY 4.0',
    'LIDC-IDRI': 'CC BY 3.0',
    'COVID-CTSet': 'CC BY-NC 4.0',
    'Radiopaedia': 'CC BY-NC-SA 3.0',
    'COVID-19-CT-Seg': 'CC BY-NC-SA 4.0',
    'iCTCF': 'CC BY 4.0',
    'STOIC': 'CC BY-NC 4.0',
    'Stony Brook': 'CC BY 4.0',
    'MosMed': 'CC BY-NC-ND 3.0',
    PHANTOM: 'generated, shows no patient',
}


def write_annotations(
    out_dir: str | Path,
    contents: Mapping[str, dict],
    totals: Mapping[str, dict],
    source: str,
    lists: Sequence[str | Path],
    options: Mapping,
    collections: Sequence[str],
) -> None:
    """Write one JSON per split and, last, the card that describes them.

    Args:
        out_dir (str or Path): Where to write ``<split>.json`` and the card.
        contents (Mapping[str, dict]): Annotations per split.
        totals (Mapping[str, dict]): Counts per split.
        source (str): Name of the set.
        lists (Sequence[str or Path]): List files that were read.
        options (Mapping): Options of the conversion.
        collections (Sequence[str]): As in :func:`write_card`.
    """
    files = {}
    for name, content in contents.items():
        files[name] = Path(out_dir, f'{name}.json')
        write_json(content, files[name], indent=None)
    write_card(files, totals, source, lists, options, collections)


def write_card(
    files: Mapping[str, Path],
    totals: Mapping[str, dict],
    source: str,
    lists: Sequence[str | Path],
    options: Mapping,
    collections: Sequence[str],
) -> None:
    """Write the card of a set beside its annotations.

    The card has no date and no path of this machine: the same input gives the
    same bytes everywhere.

    Args:
        files (Mapping[str, Path]): Annotations per split, all in one folder.
        totals (Mapping[str, dict]): Counts per split.
        source (str): Name of the set.
        lists (Sequence[str or Path]): List files that were read.
        options (Mapping): Options of the conversion.
        collections (Sequence[str]): What the slices were gathered from, as in ``LICENCES``.
    """
    card = dict(
        source=source,
        licences={name: LICENCES.get(name, NOT_STATED) for name in collections},
        mmcovid=__version__,
        options=options,
        lists={Path(file).name: sha256(file) for file in lists},
        splits={
            name: dict(file=file.name, sha256=sha256(file), **totals[name])
            for name, file in files.items()
        },
    )
    (folder,) = {file.parent for file in files.values()}
    write_json(card, folder / CARD_NAME)


def read_card(folder: str | Path) -> dict | None:
    """The card of a folder of annotations, if it has one.

    Raises:
        ValueError: The card is not JSON.
    """
    file = Path(folder) / CARD_NAME
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{file}: not a card ({error}). Convert the set again.') from error


def relative_root(folder: str | Path, out_dir: str | Path) -> str:
    """A folder of images as seen from the annotations, with forward slashes."""
    return Path(os.path.relpath(folder, out_dir)).as_posix()
