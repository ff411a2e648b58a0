"""The page of a scan: one HTML file that opens offline."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmcovid.classes import Classes
from mmcovid.reporting import picture_uri
from mmcovid.reporting.templating import render
from mmcovid.results import MeasuredLesion, ScanInfo, ScanResults, ScanSlice
from mmcovid.utils.files import to_plain

from .measure import LESIONS

_MOST_LESIONS = 15
#: Share of the weight that the slices named on the page carry at least.
_CARRIED = 0.8
_MOST_LESIONS_3D = 10


def render_page(
    name: str,
    results: ScanResults,
    views: Mapping[int, Mapping[str, np.ndarray]],
    profile: str | None,
    classes: Classes,
    viewer: bool = False,
) -> str:
    """Lay the page of a scan out.

    Args:
        name (str): Of the scan.
        results (ScanResults): Everything as numbers.
        views (Mapping[int, Mapping[str, np.ndarray]]): Pictures of slices by caption, (H, W, 3),
            RGB, uint8, by index.
        profile (str, optional): SVG text of the plot along the scan.
        classes (Classes): Of the lesions and the slices.
        viewer (bool): Link to ``viewer.html``, which is beside it. Defaults to False.

    Returns:
        str: The HTML page.
    """
    row_of = {row.index: row for row in results.slices}
    lesions = by_size(results)
    return render(
        'scan.html',
        title=name,
        results=results,
        classes=classes,
        profile=profile,
        views=[
            (
                row_of[index],
                place_of(row_of[index]),
                {caption: picture_uri(image) for caption, image in pictures.items()},
            )
            for index, pictures in views.items()
        ],
        all_lesions=LESIONS,
        num_lesions=len(lesions),
        lesions=lesions[:_MOST_LESIONS],
        carriers=_carriers(results.slices),
        most_lesions_3d=_MOST_LESIONS_3D,
        facts=_facts(results),
        viewer=viewer,
    )


def place_of(row: ScanSlice) -> str:
    """Where a slice is, for a heading."""
    return Path(row.path).name if row.z_mm is None else f'z {row.z_mm:.1f} mm'


def _carriers(rows: Sequence[ScanSlice]) -> dict[str, Any] | None:
    """The fewest slices that carry most of the weight, in their order, and their share of it.

    None if no slice is weighed.
    """
    weights = {row.index: row.weight for row in rows if row.weight is not None}
    if not weights:
        return None
    heaviest = sorted(weights, key=lambda index: -weights[index])
    shares = np.cumsum([weights[index] for index in heaviest])
    number = min(int(np.searchsorted(shares, _CARRIED)) + 1, len(heaviest))
    return dict(slices=sorted(heaviest[:number]), share=float(shares[number - 1]))


def by_size(results: ScanResults) -> list[tuple[ScanSlice, MeasuredLesion]]:
    """All lesions with their slices, the largest first."""
    found = [(row, lesion) for row in results.slices for lesion in row.lesions or ()]
    return sorted(found, key=lambda pair: -pair[1].pixels)


def _facts(results: ScanResults) -> dict[str, str | None]:
    """How the results were made."""
    scan, model = results.scan, results.model
    return {
        'input': scan.path,
        'kind': scan.kind,
        'slices': f'{len(results.slices)} of {scan.num_slices} predicted; {_size_of(scan)}',
        'spacing': _spacing_of(scan),
        'window': _window_of(scan),
        'model': model.name,
        'weights': Path(model.weights or 'random').name,
        'SHA-256 of the weights': model.weights_sha256,
        'SHA-256 of the config': model.config_sha256,
        'settings': ', '.join(
            f'{key} {value}' for key, value in to_plain(results.settings).items()
        ),
        'files': '; '.join(f'{key} ({value})' for key, value in results.files.items()),
        'software': ', '.join(f'{key} {value}' for key, value in results.software.items()),
        'date': results.created,
    }


def _size_of(scan: ScanInfo) -> str:
    return 'pictures' if scan.size is None else ' × '.join(map(str, scan.size))


def _spacing_of(scan: ScanInfo) -> str:
    if scan.spacing_mm is None:
        return 'unknown'
    return ' × '.join(f'{value:.4g}' for value in scan.spacing_mm) + ' mm (x, y, z)'


def _window_of(scan: ScanInfo) -> str:
    if scan.window_hu is None:
        return 'none: grey levels of the pictures'
    return f'level {scan.window_hu[0]:g}, width {scan.window_hu[1]:g} HU'
