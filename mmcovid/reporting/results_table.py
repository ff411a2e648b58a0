"""One readable table of the figures of both tasks."""

import math
import re
from numbers import Real

from terminaltables import AsciiTable

TITLES = {
    'coco': "Lesion segmentation, COCO's average precision",
    'per_image': "Lesion segmentation, average precision per slice, as in the author's releases",
    'image': 'Classification of slices',
}
AP_COLUMNS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
CLASS_COLUMNS = ('precision', 'sensitivity', 'specificity', 'ppv', 'npv', 'f1', 'auroc')
# "macro_f1" is a mean over classes, no figure of a class named "macro".
MEANS = ('macro', 'micro', 'weighted', 'mean')
LABELS = {
    'mAP_50': 'AP50',
    'mAP_75': 'AP75',
    'mAP_s': 'mAP small',
    'mAP_m': 'mAP medium',
    'mAP_l': 'mAP large',
    'precision': 'AP',
    'ppv': 'PPV',
    'npv': 'NPV',
    'f1': 'F1',
    'auroc': 'AUROC',
    'macro_f1': 'macro F1',
    'weighted_f1': 'weighted F1',
    'macro_auroc': 'macro AUROC',
    'confusion_matrix': 'confusion matrix',
}

_AP = re.compile(rf'^(?P<row>\w+?)_(?P<column>{"|".join(sorted(AP_COLUMNS, reverse=True))})$')
_CLASS_AP = re.compile(r'^(?P<row>bbox|segm)_(?P<name>.+)_precision$')
_CLASS = re.compile(rf'^(?P<row>.+)_(?P<column>{"|".join(CLASS_COLUMNS)})$')


def format_results(metrics: dict) -> str:
    """Lay out the figures of a test run, one block for each metric prefix.

    Figures of average precision are rows of ``segm`` and ``bbox``, figures of
    a class are rows of that class, a confusion matrix is a table of its own
    and all else stands line by line, so that no figure is lost.

    Args:
        metrics (dict): Figures by name, such as ``'coco/segm_mAP_50'``,
            ``'coco/segm_ggo_precision'`` or ``'image/covid19_sensitivity'``; a
            confusion matrix is a list of rows (truth), each a list of counts.

    Returns:
        str: The text, without a newline at its end.
    """
    groups: dict[str, dict] = {}
    for key, value in metrics.items():
        prefix, _, name = key.rpartition('/')
        groups.setdefault(prefix, {})[name if prefix else key] = value
    return '\n\n'.join(
        '\n'.join([TITLES.get(prefix, prefix or 'Figures'), *_format_group(figures)])
        for prefix, figures in sorted(groups.items())
    )


def _format_group(figures: dict) -> list[str]:
    by_type: dict[str, dict] = {}
    by_class: dict[str, dict] = {}
    matrices, rest = {}, []
    for name, value in figures.items():
        if match := _AP.match(name):
            by_type.setdefault(match['row'], {})[match['column']] = value
        elif match := _CLASS_AP.match(name):
            by_type.setdefault(match['row'], {})[f'AP {match["name"]}'] = value
        elif (match := _CLASS.match(name)) and match['row'] not in MEANS:
            by_class.setdefault(match['row'], {})[match['column']] = value
        elif _is_matrix(value):
            matrices[name] = value
        else:
            rest.append((LABELS.get(name, name), _number(value)))

    blocks = []
    if rest:
        width = max(len(label) for label, _ in rest)
        blocks += [f'{label:<{width}}  {value}' for label, value in rest]
    if by_type:
        blocks.append(_cross_table(by_type, AP_COLUMNS, 'type'))
    if by_class:
        blocks.append(_cross_table(by_class, CLASS_COLUMNS, 'class'))
    for name, matrix in matrices.items():
        blocks += _matrix_table(LABELS.get(name, name), matrix, list(by_class))
    return blocks


def _cross_table(rows: dict[str, dict], order: tuple, corner: str) -> str:
    found = dict.fromkeys(column for row in rows.values() for column in row)
    columns = [column for column in order if column in found]
    columns += [column for column in found if column not in order]
    body = [
        [name, *(_number(row[column]) if column in row else '' for column in columns)]
        for name, row in rows.items()
    ]
    return _table([[corner, *(LABELS.get(column, column) for column in columns)], *body])


def _matrix_table(label: str, matrix: list, classes: list[str]) -> list[str]:
    if len(classes) != len(matrix):
        classes = [str(i) for i in range(len(matrix))]
    body = [[name, *map(str, row)] for name, row in zip(classes, matrix)]
    return [
        f'{label} (rows: truth, columns: prediction)',
        _table([['', *classes[: len(matrix[0])]], *body]),
    ]


def _table(rows: list[list[str]]) -> str:
    table = AsciiTable(rows)
    table.justify_columns = dict.fromkeys(range(1, len(rows[0])), 'right')
    return table.table


def _is_matrix(value) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) > 0
        and all(isinstance(row, (list, tuple)) and len(row) > 0 for row in value)
    )


def _number(value) -> str:
    if isinstance(value, Real) and not isinstance(value, (int, bool)):
        return 'undefined' if math.isnan(value) else f'{value:.4f}'
    return str(value)
