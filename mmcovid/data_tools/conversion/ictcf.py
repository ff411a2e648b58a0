"""The slices of iCTCF, ictcf.biocuckoo.cn.

Published as folders ``nCT`` (no sign of COVID-19), ``pCT`` (COVID-19) and ``NiCT``
(slices that tell nothing), with files such as ``pCT2179.jpg``; the paper's author
has them in one folder as ``0_nCT12.jpg`` and ``2_pCT2179.jpg``. No name tells the patient.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from mmcovid.data_tools.slice_lists import SliceEntry
from mmcovid.data_tools.slice_names import UNKNOWN
from mmcovid.utils.files import name_some

from .lesion_files import natural
from .splits import pick_listed

_NAME = re.compile(r'(?:(?P<label>[02])_)?(?P<key>(?P<kind>nCT|pCT|NiCT)\d+)', re.IGNORECASE)
_LABELS = {'nct': 0, 'pct': 2}


class IctcfSlice(SliceEntry):
    """An entry of iCTCF."""

    __slots__ = ()

    @property
    def key(self) -> str:
        """The name that both layouts share, ``'pCT2179'``."""
        return _NAME.sub(r'\g<key>', Path(self.name).stem)


def list_ictcf_slices(root: str | Path) -> tuple[list[IctcfSlice], int]:
    """Find the slices of both classes below ``root``, in natural order.

    Returns:
        tuple: The slices, and the number of those left out as they tell nothing
        (``NiCT``).

    Raises:
        FileNotFoundError: There are none.
        ValueError: Names do not tell a class, tell two, or are of one slice.
    """
    root = Path(root)
    found: dict[str, IctcfSlice] = {}
    strange, left_out = [], 0
    for path in sorted(root.rglob('*')):
        if path.suffix.lower() not in ('.jpg', '.jpeg', '.png') or path.name.startswith('.'):
            continue
        name = path.relative_to(root).as_posix()
        match = _NAME.fullmatch(path.stem)
        label = match and _LABELS.get(match['kind'].lower())
        if match and label is None:
            left_out += 1
        elif not match or label is None or match['label'] not in (None, str(label)):
            strange.append(name)
        elif match['key'] in found:
            raise ValueError(
                f'{root}: {found[match["key"]].name} and {name} are of one slice. Remove one.'
            )
        else:
            found[match['key']] = IctcfSlice(name, label, UNKNOWN, UNKNOWN)
    if strange:
        raise ValueError(
            f'{root}: images whose names tell no class, {name_some(strange)}. Names must read '
            'nCT<n>, pCT<n> or NiCT<n>, after 0_ and 2_ if anything. Move others away.'
        )
    if not found:
        raise FileNotFoundError(
            f'{root}: no images such as nCT12.jpg and pCT2179.jpg below it. '
            'Give the folder into which iCTCF was unpacked.'
        )
    return [found[key] for key in sorted(found, key=natural)], left_out


def read_ictcf_split(file: str | Path, slices: Sequence[IctcfSlice]) -> list[IctcfSlice]:
    """Pick the slices that a text file lists, one ``2_pCT2179.jpg`` or ``pCT2179.jpg`` a line.

    Raises:
        FileNotFoundError: The list, or a slice that it names, is not there.
        ValueError: A slice is named twice, or none at all.
    """
    by_name = {name: each for each in slices for name in (each.key, f'{each.label}_{each.key}')}
    return pick_listed(file, by_name, '2_pCT<n>.jpg or pCT<n>.jpg')
