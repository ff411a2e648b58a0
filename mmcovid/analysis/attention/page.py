"""The attention report as one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmcovid.classes import LUNG, Classes
from mmcovid.reporting.templating import render
from mmcovid.results import AttentionReport, AttentionSet
from mmcovid.results.attention import AttentionShare, DeletionEffect

from .deletion import BY_SCORE
from .measure import LESION_CLASS, REGION, TRUTH
from .words import ALL, MEASURE_TITLES, group_title, set_title


@dataclass(frozen=True)
class Picture:
    """A drawn slice."""

    uri: str  #: data URI
    caption: str


@dataclass(frozen=True)
class ShareTable:
    """Shares of one kind: a row for each group of slices and branch, a column for each name."""

    names: list[str]  #: as readers call them
    #: Group, as readers call it, branch, and the share of each name, None where it is not known
    rows: list[tuple[str, str, list[AttentionShare | None]]]


@dataclass(frozen=True)
class SetOnPage:
    """One set of slices, as the page lays it out."""

    task: str
    title: str
    figures: AttentionSet
    groups: list[tuple[int, str]]  #: number of slices, and what they are called
    #: By branch, what dropping the fewest RoIs does to the score; None if nothing was dropped
    first_drops: dict[str, DeletionEffect | None]
    #: Title of a measure and what dropping RoIs does to it, by ranking and number
    deletion: list[tuple[str, list[DeletionEffect]]]
    lesion_classes: ShareTable
    regions: ShareTable
    truth: ShareTable

    @classmethod
    def of(cls, task: str, figures: AttentionSet, classes: Classes) -> 'SetOnPage':
        """Sort the figures of a set."""
        return cls(
            task=task,
            title=set_title(task),
            figures=figures,
            groups=[
                (number, group_title(name, classes))
                for name, number in figures.set.groups.items()
                if name != ALL
            ],
            first_drops={branch: _first_drop(figures.deletion, branch) for branch in figures.order},
            deletion=[
                (MEASURE_TITLES[measure], _effects_on(measure, figures))
                for measure in ('score_drop', 'flipped')
            ],
            **{
                key: _share_table(figures.shares, kind, classes)
                for key, kind in (
                    ('lesion_classes', LESION_CLASS),
                    ('regions', REGION),
                    ('truth', TRUTH),
                )
            },
        )


def lay_out(
    report: AttentionReport,
    classes: Classes,
    plots: Mapping[str, str],
    pictures: Sequence[Picture],
    title: str,
) -> str:
    """The page of a report.

    Args:
        report (AttentionReport): What ``attention.json`` holds.
        classes (Classes): Of the model.
        plots (Mapping[str, str]): SVG text by name.
        pictures (Sequence[Picture]): Drawn slices.
        title (str): Heading of the page.

    Returns:
        str: The HTML.
    """
    return render(
        'attention.html',
        title=title,
        report=report,
        plots=plots,
        pictures=pictures,
        sets=[SetOnPage.of(task, figures, classes) for task, figures in report.sets.items()],
        lesions=[each.display_name for each in classes.lesions if each.role != LUNG],
    )


def _first_drop(effects: Sequence[DeletionEffect], branch: str) -> DeletionEffect | None:
    """The effect on the score of dropping the fewest RoIs, ranked by a branch."""
    fewest = min((effect.dropped for effect in effects), default=None)
    return next(
        (
            effect
            for effect in effects
            if (effect.ranking, effect.measure, effect.dropped) == (branch, 'score_drop', fewest)
        ),
        None,
    )


def _effects_on(measure: str, figures: AttentionSet) -> list[DeletionEffect]:
    return [
        effect
        for ranking in (*figures.set.branches, BY_SCORE)
        for effect in figures.deletion
        if (effect.ranking, effect.measure) == (ranking, measure)
    ]


def _share_table(shares: Sequence[AttentionShare], kind: str, classes: Classes) -> ShareTable:
    rows: dict[tuple[str, str], dict[str, AttentionShare]] = {}
    for share in shares:
        if share.kind == kind:
            rows.setdefault((share.group, share.branch), {})[share.name] = share
    names = list(dict.fromkeys(name for cells in rows.values() for name in cells))
    return ShareTable(
        [classes.display(name) for name in names],
        [
            (group_title(group, classes), branch, [cells.get(name) for name in names])
            for (group, branch), cells in rows.items()
        ],
    )
