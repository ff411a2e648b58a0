"""Masks and tables of a scan, as files."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmcovid.ct import write_mask
from mmcovid.ct.inputs import name_outputs
from mmcovid.reporting import write_csv

from .predict import Prediction
from .results import LUNG

LABEL_MAP = 'labels.nii.gz'


def write_masks(folder: Path, prediction: Prediction, classes: Sequence[str],
                palette: Sequence[tuple[int, int, int]]) -> dict[str, str]:
    """Write the label map, and the mask of each class.

    Of a volume these are NIfTI files on the grid of its file; of pictures, a label map for each
    as a PNG whose palette shows the classes.

    Args:
        folder (Path): Where to write.
        prediction (Prediction): With label maps, or nothing is written.
        classes (Sequence[str]): Lesion classes; label 1 is the first.
        palette (Sequence[tuple[int, int, int]]): Their colours, RGB.

    Returns:
        dict[str, str]: What each file, or the folder of files, holds.
    """
    if prediction.slices[0].labels is None:
        return {}
    legend = ', '.join(f'{k} {name}' for k, name in enumerate(('background', *classes)))
    if prediction.volume is None:
        names = name_outputs([each.path for each in prediction.slices])
        (folder / 'labels').mkdir()
        for each in prediction.slices:
            image = Image.fromarray(each.labels)
            image.putpalette(np.array([(0, 0, 0), *palette], np.uint8).ravel().tolist())
            image.save(folder / 'labels' / f'{names[each.path]}.png')
        return {'labels/': legend}
    labels, files = prediction.label_map(), {LABEL_MAP: legend}
    write_mask(labels, prediction.volume, folder / LABEL_MAP)
    for name in classes:
        write_mask(class_mask(labels, name, classes), prediction.volume, folder / f'{name}.nii.gz')
        files[f'{name}.nii.gz'] = f'{name}, lesions included' if name == LUNG else name
    return files


def class_mask(labels: np.ndarray, name: str, classes: Sequence[str]) -> np.ndarray:
    """Mask of a class in a label map; the lung's includes the lesions."""
    return labels > 0 if name == LUNG else labels == classes.index(name) + 1


def write_slice_table(path: Path, rows: list[dict]) -> None:
    """Write ``slices.csv``: one line for each slice, without its lesions and RoIs."""
    flat = []
    for row in rows:
        line = {key: row.get(key) for key in ('index', 'path', 'z_mm', 'in_region', 'class',
                                              'leading_class', 'score')}
        line.update({f'score_{name}': value for name, value in row.get('scores', {}).items()})
        line['lesions'] = len(row['lesions']) if 'lesions' in row else None
        line.update({f'{name}_pixels': count for name, count in row.get('pixels', {}).items()})
        line.update({f'{name}_mm2': area for name, area in row.get('area_mm2', {}).items()})
        flat.append(line)
    write_csv(path, list(flat[0]), flat)


def summary_row(name: str, results: dict) -> dict:
    """The line of a scan in ``summary.csv``."""
    row = dict(scan=name, status='ok' if results['complete'] else 'incomplete',
               input=results['scan']['path'], slices=results['scan']['num_slices'])
    found = results['classification'] or {}
    row.update({key: found.get(key) for key in ('class', 'leading_class', 'score')})
    row.update({f'score_{key}': value for key, value in found.get('scores', {}).items()})
    for key, values in (results['volumes'] or {}).items():
        row.update({f'{key}_ml': values['ml'], f'{key}_share_of_lung': values['share_of_lung']})
    return dict(row, reason='; '.join(f'{e["input"]}: {e["reason"]}' for e in results['errors']))
