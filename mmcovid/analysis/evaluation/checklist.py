"""Reporting checklists, filled in as far as a test run can.

The items are paraphrased; a submission needs the official forms.

Sources: G. S. Collins et al., "TRIPOD+AI statement", BMJ 2024;385:e078378; A. S. Tejani et al.,
"Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update", Radiology:
Artificial Intelligence 2024;6(4):e240300.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mmcovid.results import EvaluationReport
from mmcovid.utils.provenance import software
from mmcovid.version import __version__

#: How far a test run answers an item; what is open is the authors' to write.
FILLED_IN, IN_PART, OPEN = 'filled in', 'in part', 'open'
CLASS_MEASURES = (
    'Accuracy, sensitivity, specificity, PPV, NPV, F1, AUROC, AUPRC, confusion '
    'matrix, Brier score, ECE, coverage against accuracy, AURC, net benefit; ROC, '
    'precision-recall, reliability, risk-coverage and decision curves.'
)
LESION_MEASURES = (
    'Average precision of lesion masks as COCO defines it, and of each slice with '
    'all classes pooled, as a mean over slices; Dice of lesion masks.'
)
#: Item and what it asks for, in our words.
TRIPOD_AI = (
    ('1', 'Title: developing or evaluating a model, target population, outcome'),
    ('2', 'Abstract, by TRIPOD+AI for Abstracts'),
    ('3a', 'Health-care context, rationale, existing models'),
    ('3b', 'Target population, place in the care pathway, intended users'),
    ('3c', 'Known health inequalities'),
    ('4', 'Objectives: development, evaluation or both'),
    ('5a', 'Sources of development and evaluation data, representativeness'),
    ('5b', 'Dates of data collection'),
    ('6a', 'Setting, number and location of centres'),
    ('6b', 'Eligibility criteria'),
    ('6c', 'Treatments received'),
    ('7', 'Preprocessing and quality checks'),
    ('8a', 'Outcome: definition, how and when assessed'),
    ('8b', 'Who assessed the outcome, if that needs judgement'),
    ('8c', 'Blinding of the outcome assessment'),
    ('9a', 'Choice of predictors'),
    ('9b', 'Definition of predictors'),
    ('9c', 'Who assessed the predictors, if that needs judgement'),
    ('10', 'Sample size and its justification'),
    ('11', 'Missing data'),
    ('12a', 'How data were used and partitioned'),
    ('12b', 'Handling of predictors'),
    ('12c', 'Type of model, building, tuning, internal validation'),
    ('12d', 'Heterogeneity across clusters, such as hospitals'),
    ('12e', 'Measures and plots of performance; comparison of models'),
    ('12f', 'Model updating, such as recalibration'),
    ('12g', 'How predictions were computed'),
    ('13', 'Class imbalance'),
    ('14', 'Approaches to fairness'),
    ('15', 'Output of the model, thresholds'),
    ('16', 'Differences between development and evaluation data'),
    ('17', 'Ethical approval and consent'),
    ('18a', 'Funding'),
    ('18b', 'Conflicts of interest'),
    ('18c', 'Protocol'),
    ('18d', 'Registration'),
    ('18e', 'Availability of data'),
    ('18f', 'Availability of code'),
    ('19', 'Patient and public involvement'),
    ('20a', 'Flow of participants, numbers with and without the outcome'),
    ('20b', 'Characteristics of participants'),
    ('20c', 'Comparison with the development data'),
    ('21', 'Participants and events in each analysis'),
    ('22', 'The full model, for use by others'),
    ('23a', 'Performance with confidence intervals, in subgroups too'),
    ('23b', 'Heterogeneity of performance across clusters'),
    ('24', 'Results of model updating'),
    ('25', 'Interpretation, fairness included'),
    ('26', 'Limitations'),
    ('27a', 'Handling of poor or missing input in use'),
    ('27b', 'Interaction and expertise that use requires'),
    ('27c', 'Next steps, applicability, generalisability'),
)
CLAIM = (
    ('1', 'Title: AI methodology and its kind'),
    ('2', 'Structured abstract'),
    ('3', 'Background, intended use and clinical role'),
    ('4', 'Aims and hypotheses'),
    ('5', 'Prospective or retrospective'),
    ('6', 'Goal of the study'),
    ('7', 'Data sources'),
    ('8', 'Inclusion and exclusion criteria'),
    ('9', 'Preprocessing'),
    ('10', 'Selection of subsets of the data'),
    ('11', 'De-identification'),
    ('12', 'Missing data'),
    ('13', 'Image acquisition protocol'),
    ('14', 'Reference standard: how it was obtained'),
    ('15', 'Reference standard: why this one'),
    ('16', 'Reference standard: who annotated'),
    ('17', 'Annotation of the test set'),
    ('18', 'Variability between and within readers'),
    ('19', 'Assignment of data to partitions'),
    ('20', 'Level at which partitions are disjoint'),
    ('21', 'Size of the test set and why'),
    ('22', 'Model in detail'),
    ('23', 'Software and versions'),
    ('24', 'Initial weights'),
    ('25', 'Training: procedure, augmentation, hyperparameters'),
    ('26', 'Selection of the final model'),
    ('27', 'Ensembling'),
    ('28', 'Measures of performance'),
    ('29', 'Measures of uncertainty and significance'),
    ('30', 'Robustness or sensitivity analysis'),
    ('31', 'Explainability'),
    ('32', 'Testing on internal data'),
    ('33', 'Testing on external data'),
    ('34', 'Trial registration'),
    ('35', 'Patients and examinations included and excluded'),
    ('36', 'Demographic and clinical characteristics of each partition'),
    ('37', 'Performance against the reference standard, by partition and subgroup'),
    ('38', 'Diagnostic accuracy and its precision'),
    ('39', 'Failure analysis'),
    ('40', 'Limitations'),
    ('41', 'Implications for practice'),
    ('42', 'Protocol and further technical details'),
    ('43', 'Availability of software, model and data'),
    ('44', 'Funding'),
)
PACKAGES = ('torch', 'onedl-mmdetection', 'mmdet', 'scikit-learn', 'scipy', 'numpy', 'pycocotools')


#: Status and answer by item.
Answers = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class ChecklistItem:
    """An item of a checklist."""

    checklist: str
    item: str  #: its number
    asks: str
    status: str  #: one of :data:`FILLED_IN`, :data:`IN_PART` and :data:`OPEN`
    answer: str  #: '' if it is open


def spell_software() -> str:
    """Versions of what the figures were computed with."""
    return ', '.join(f'{name} {version}' for name, version in software(PACKAGES).items())


def fill_checklists(report: EvaluationReport) -> list[ChecklistItem]:
    """Both checklists, with what the figures of a report tell."""
    checklists = (
        ('TRIPOD+AI', TRIPOD_AI, _answer_tripod_ai(report)),
        ('CLAIM 2024', CLAIM, _answer_claim(report)),
    )
    return [
        ChecklistItem(checklist, item, asks, *answers.get(item, (OPEN, '')))
        for checklist, items, answers in checklists
        for item, asks in items
    ]


def _answer_tripod_ai(report: EvaluationReport) -> Answers:
    sizes, output = _spell_sizes(report), _spell_output(report)
    answers = {
        '11': (IN_PART, _spell_missing(report)),
        '12e': (FILLED_IN, f'{_spell_measures(report)} {_spell_intervals(report)}'),
        '12g': (IN_PART, f'By mmcovid test. {output}'.strip()),
        '18f': (IN_PART, f'Figures by mmcovid {__version__}, mmcovid report.'),
        '20a': (IN_PART, sizes),
        '21': (IN_PART, f'Evaluation: {sizes}'),
        '23a': (IN_PART, 'Tables of this report, figures.csv. No subgroups were asked for.'),
    }
    if output:
        answers['15'] = (IN_PART, output)
    if report.subgroups:
        columns = ', '.join(report.subgroups)
        answers['14'] = (IN_PART, f'Performance examined by {columns}.')
        answers['23a'] = (FILLED_IN, f'Tables of this report, figures.csv. Subgroups by {columns}.')
    fits = '; '.join(_spell_fits(report))
    if fits:
        answers['12f'] = (
            FILLED_IN,
            'Temperature scaling of the logits, fitted on validation '
            'slices that share no patient with the test set.',
        )
        answers['24'] = (FILLED_IN, f'{fits}.')
    return answers


def _answer_claim(report: EvaluationReport) -> Answers:
    sizes, measures = _spell_sizes(report), _spell_measures(report)
    subgroups = f' Subgroups by {", ".join(report.subgroups)}.' if report.subgroups else ''
    answers = {
        '12': (IN_PART, _spell_missing(report)),
        '21': (IN_PART, f'Size: {sizes}'),
        '23': (FILLED_IN, f'{spell_software()}.'),
        '28': (FILLED_IN, measures),
        '29': (FILLED_IN, _spell_intervals(report)),
        '35': (IN_PART, f'Included: {sizes}'),
        '37': (IN_PART, f'Tables of this report, figures.csv (test partition).{subgroups}'),
        '38': (FILLED_IN, 'Tables of this report, with 95 % intervals.'),
        '43': (IN_PART, 'Software: mmcovid, Apache 2.0.'),
    }
    if failures := ', '.join(_name_failures(report)):
        answers['39'] = (IN_PART, f'{failures[0].upper()}{failures[1:]}.')
    if _spell_fits(report):
        answers['20'] = (
            IN_PART,
            'The validation set of the temperature and the test set share '
            'no slice and no known patient (checked).',
        )
    return answers


def _name_failures(report: EvaluationReport) -> Iterator[str]:
    """What the report shows of errors."""
    if report.is_classified:
        yield 'confusion matrices'
    if any(report.errors.values()):
        yield 'gallery of the surest errors'
    if any(report.lesion_errors.values()):
        yield 'gallery of the slices with the least Dice'


def _spell_missing(report: EvaluationReport) -> str:
    left_out = sum(sum(item.left_out.values()) for item in report.inputs)
    return f'{left_out} dumped slices had no truth or prediction to score; see the notes.'


def _spell_measures(report: EvaluationReport) -> str:
    return ' '.join(
        [CLASS_MEASURES] * report.is_classified + [LESION_MEASURES] * ('lesion' in report.figures)
    )


def _spell_intervals(report: EvaluationReport) -> str:
    settings = report.settings
    comparison = (
        ' Models are compared on the same resamples (paired).' if report.is_compared else ''
    )
    return (
        '95 % intervals: t intervals (on the logit scale for figures in 0 to 1), standard '
        f'errors of {settings.rounds} resamples of patients with all their slices '
        f'(seed {settings.seed}), degrees of freedom by Satterthwaite.{comparison}'
    )


def _spell_output(report: EvaluationReport) -> str:
    """What the class scores are; '' if there are none."""
    if not report.is_classified:
        return ''
    settings = report.settings
    return (
        'Class scores: sigmoids of the image logits normalised to sum to 1; the class is the '
        f'highest. By {settings.unit}: {settings.aggregate} over the slices.'
    )


def _spell_fits(report: EvaluationReport) -> list[str]:
    """Temperatures that were fitted, each with what it was fitted on."""
    return [
        f'T = {run.temperature:.4g} ({name}, fitted on {run.slices} slices of {run.file})'
        for name, runs in report.calibration.items()
        for run in runs
        if run.is_scaled and not run.note
    ]


def _spell_sizes(report: EvaluationReport) -> str:
    """Sizes of the test sets, in a sentence."""
    parts = []
    for level, size in report.sets.items():
        counts = ', '.join(
            f'{count} {named.display_name}'
            for count, named in zip(size.per_class, report.classes_of(level))
        )
        what = 'slices with lesion masks' if level == 'lesion' else f'{level}s'
        of = '' if level == 'patient' else f' of {size.patients} patients'
        parts.append(f'{size.cases} {what}{of} ({counts})')
    return '; '.join(parts) + '.'
