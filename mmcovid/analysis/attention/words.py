"""What sets, groups, measures and ends are called on the page and in plots."""

from mmcovid.classes import Classes

SET_TITLES = {'cls': 'slices with class labels', 'seg': 'lesion set'}
MEASURE_TITLES = {
    'score_drop': 'fall of the score',
    'logit_drop': 'fall of the logit',
    'flipped': 'share of slices that change class',
}
END_TITLES = {'top': 'heaviest', 'random': 'random', 'bottom': 'lightest'}

#: Groups of slices: all, or those of a class, whose name follows.
ALL = 'all slices'
TRUE, WRONGLY, PREDICTED = 'true', 'wrongly', 'predicted'


def set_title(task: str) -> str:
    """What readers call a set."""
    return SET_TITLES.get(task, task)


def group_title(group: str, classes: Classes) -> str:
    """What readers call a group of slices: ``true COVID-19`` for ``true covid19``."""
    how, _, name = group.partition(' ')
    return f'{how} {classes.display(name)}' if how in (TRUE, WRONGLY, PREDICTED) else group
