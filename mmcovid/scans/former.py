"""Results of former runs, and whether a run would make the same again."""

import json
from pathlib import Path
from typing import Any

from mmcovid.results import ScanModel, ScanSettings
from mmcovid.results.scan import SCHEMA_VERSION
from mmcovid.scan_class.load import VECTORS
from mmcovid.utils.files import to_plain

from .dicom import find_missing
from .settings import Settings
from .shown import path_hash

#: What the results do not depend on but by rounding, and where the file of the weights lies.
_NOT_COMPARED = {'batch_size', 'device', 'name', 'weights'}


def read_results(folder: Path) -> dict[str, Any] | None:
    """What ``results.json`` of a scan holds; None if it cannot be read."""
    try:
        results = json.loads((folder / 'results.json').read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        return None
    known = isinstance(results, dict) and results.get('schema_version') == SCHEMA_VERSION
    return results if known else None


def find_difference(
    results: dict[str, Any] | None,
    path: str,
    model: ScanModel,
    settings: ScanSettings,
    rules: Settings,
) -> str | None:
    """What tells the results of a former run from those that would be made now.

    The contents of the scan and the versions of the software are not compared.

    Args:
        results (dict, optional): Of :func:`read_results`.
        path (str): The scan.
        model (ScanModel): What would predict it.
        settings (ScanSettings): How it would be predicted.
        rules (Settings): With the files that would be written beside the results.

    Returns:
        str | None: What is to be said of the former results; None if they are the same.
    """
    if results is None:
        return 'without results that can be read'
    # former versions told the path itself
    known = results['scan'].get('path_sha256') or path_hash(results['scan']['path'])
    if known != path_hash(path):
        return f'of another scan, {results["scan"]["path"]}'
    if not results['complete']:
        return 'incomplete'
    # random weights have no hash by which they would be known again
    if model.weights_sha256 is None or _differing(results['model'], model):
        return 'of another model'
    if differing := _differing(results['settings'], settings):
        return f'with other settings ({", ".join(differing)})'
    if missing := find_missing(results['files'], rules):
        return f'without {missing}'
    if rules.keep_vectors and VECTORS not in results['files']:
        return 'without image vectors'
    return None


def _differing(former: dict[str, Any], now: ScanModel | ScanSettings) -> list[str]:
    """Names of the values that differ."""
    return [
        name
        for name, value in to_plain(now).items()
        if name not in _NOT_COMPARED and former.get(name) != value
    ]
