"""What a converted set was made of, beside its annotations."""
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmcovid.utils.files import sha256, write_json
from mmcovid.version import __version__

CARD_NAME = 'dataset_card.json'


def write_annotations(out_dir: str | Path, contents: Mapping[str, dict], totals: Mapping[str, dict],
                      source: str, lists: Sequence[str | Path], options: Mapping) -> None:
    """Write one JSON per split and, last, the card that describes them.

    The card has no date and no path of this machine: the same input gives the
    same bytes everywhere.

    Args:
        out_dir (str or Path): Where to write ``<split>.json`` and the card.
        contents (Mapping[str, dict]): Annotations per split.
        totals (Mapping[str, dict]): Counts per split.
        source (str): Name of the set.
        lists (Sequence[str or Path]): List files that were read.
        options (Mapping): Options of the conversion.
    """
    out_dir = Path(out_dir)
    splits = {}
    for name, content in contents.items():
        file = out_dir / f'{name}.json'
        write_json(content, file, indent=None)
        splits[name] = dict(file=file.name, sha256=sha256(file), **totals[name])
    card = dict(
        source=source,
        mmcovid=__version__,
        options=options,
        lists={Path(file).name: sha256(file) for file in lists},
        splits=splits)
    write_json(card, out_dir / CARD_NAME)


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
    except ValueError as error:
        raise ValueError(f'{file}: not a card ({error}). Convert the set again.') from error


def relative_root(folder: str | Path, out_dir: str | Path) -> str:
    """A folder of images as seen from the annotations, with forward slashes."""
    return Path(os.path.relpath(folder, out_dir)).as_posix()
