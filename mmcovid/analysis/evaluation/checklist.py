"""Reporting checklists, filled in as far as a test run can.

The items are paraphrased; a submission needs the official forms.

Sources: G. S. Collins et al., "TRIPOD+AI statement", BMJ 2024;385:e078378; A. S. Tejani et al.,
"Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update", Radiology:
Artificial Intelligence 2024;6(4):e240300.
"""
from mmcovid.utils.provenance import software
from mmcovid.version import __version__

OPEN = ''
CLASS_MEASURES = ('Accuracy, sensitivity, specificity, PPV, NPV, F1, AUROC, AUPRC, confusion '
                  'matrix, Brier score, ECE, coverage against accuracy; ROC, precision-recall, '
                  'reliability and coverage plots.')
LESION_MEASURES = ('Average precision of lesion masks as COCO defines it, and of each slice with '
                   'all classes pooled, as a mean over slices; Dice of lesion masks.')
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
    ('27c', 'Next steps, applicability, generalisability'))
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
    ('44', 'Funding'))
PACKAGES = ('torch', 'onedl-mmdetection', 'mmdet', 'scikit-learn', 'scipy', 'numpy',
            'pycocotools')


def spell_software() -> str:
    """Versions of what the figures were computed with."""
    return ', '.join(f'{name} {version}' for name, version in software(PACKAGES).items())


def fill_checklists(data: dict) -> list[dict]:
    """Both checklists, with what the figures of a report tell.

    Args:
        data (dict): Of the report.

    Returns:
        list[dict]: For each item ``checklist``, ``item``, ``asks``, ``status`` ('filled in',
        'in part' or 'open') and ``answer``.
    """
    answers = _answers(data)
    tables = (('TRIPOD+AI', TRIPOD_AI), ('CLAIM 2024', CLAIM))
    rows = []
    for checklist, items in tables:
        for item, asks in items:
            status, answer = answers[checklist].get(item, ('open', OPEN))
            rows.append(dict(checklist=checklist, item=item, asks=asks, status=status,
                             answer=answer))
    return rows


def _answers(data: dict) -> dict[str, dict[str, tuple[str, str]]]:
    """Status and answer by checklist and item."""
    settings = data['settings']
    numbers = _numbers(data)
    left_out = sum(sum(entry['left_out'].values()) for entry in data['inputs'])
    missing = f'{left_out} dumped slices had no truth or prediction to score; see the notes.'
    classified = 'confusion' in data
    measures = ' '.join(
        [CLASS_MEASURES] * classified + [LESION_MEASURES] * ('lesion' in data['figures']))
    intervals = ('95 % intervals: t intervals (on the logit scale for figures in 0 to 1), standard '
                 f'errors of {settings["rounds"]} resamples of patients with all their slices '
                 f'(seed {settings["seed"]}), degrees of freedom by Satterthwaite.')
    comparison = (' Models are compared on the same resamples (paired).'
                  if any(data['differences'].values()) else '')
    output = ('Class scores: sigmoids of the image logits normalised to sum to 1; the class is '
              f'the highest. By {settings["unit"]}: {settings["aggregate"]} over the slices.')
    tripod = {
        '11': ('in part', missing),
        '12e': ('filled in', f'{measures} {intervals}{comparison}'),
        '12g': ('in part', f'By tools/test.py. {output if classified else ""}'.strip()),
        '18f': ('in part', f'Figures by mmcovid {__version__}, tools/analysis_tools/report.py.'),
        '20a': ('in part', numbers),
        '21': ('in part', f'Evaluation: {numbers}'),
        '23a': ('filled in', 'Tables of this report, figures.csv.')}
    if classified:
        tripod['15'] = ('in part', output)
    claim = {
        '12': ('in part', missing),
        '21': ('in part', f'Size: {numbers}'),
        '23': ('filled in', f'{spell_software()}.'),
        '28': ('filled in', measures),
        '29': ('filled in', intervals + comparison),
        '35': ('in part', f'Included: {numbers}'),
        '37': ('in part', 'Tables of this report, figures.csv (test partition).'),
        '38': ('filled in', 'Tables of this report, with 95 % intervals.'),
        '43': ('in part', 'Software: mmcovid, Apache 2.0.')}
    if classified:
        pictures = ' and gallery of the surest errors' if data.get('gallery') else ''
        claim['39'] = ('in part', f'Confusion matrices{pictures}.')
    if 'subgroups' in data:
        columns = ', '.join(data['subgroups'])
        tripod['23a'] = ('filled in', f'{tripod["23a"][1]} Subgroups by {columns}.')
        claim['37'] = ('in part', f'{claim["37"][1]} Subgroups by {columns}.')
        tripod['14'] = ('in part', f'Performance examined by {columns}.')
    else:
        tripod['23a'] = ('in part', f'{tripod["23a"][1]} No subgroups were asked for.')
    fits = [f'T = {run["temperature"]:.4g} ({name}, fitted on {run["slices"]} slices of '
            f'{run["file"]})' for name, runs in data.get('calibration', {}).items()
            for run in runs if 'temperature' in run and not run['note']]
    if fits:
        tripod['12f'] = ('filled in', 'Temperature scaling of the logits, fitted on validation '
                         'slices that share no patient with the test set.')
        tripod['24'] = ('filled in', '; '.join(fits) + '.')
        claim['20'] = ('in part', 'The validation set of the temperature and the test set share '
                       'no slice and no known patient (checked).')
    return {'TRIPOD+AI': tripod, 'CLAIM 2024': claim}


def _numbers(data: dict) -> str:
    """Sizes of the test sets, in a sentence."""
    parts = []
    for level, size in data['sets'].items():
        names = data['lesion_classes'] if level == 'lesion' else data['classes']
        counts = ', '.join(f'{n} {name}' for n, name in zip(size['per_class'], names))
        what = 'slices with lesion masks' if level == 'lesion' else f'{level}s'
        of = '' if level == 'patient' else f' of {size["patients"]} patients'
        parts.append(f'{size["cases"]} {what}{of} ({counts})')
    return '; '.join(parts) + '.'
