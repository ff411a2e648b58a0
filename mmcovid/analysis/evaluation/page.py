"""The report as one HTML file that needs nothing else."""
from collections.abc import Sequence
from html import escape
from pathlib import Path

from mmcovid.reporting import figure, number, page, svg_figure, table
from mmcovid.statistics.classification import CLASS_FIGURES

from .checklist import spell_software
from .measure import HEADLINES

LABELS = {
    'accuracy': 'accuracy', 'macro_f1': 'macro F1', 'weighted_f1': 'weighted F1',
    'macro_auroc': 'macro AUROC', 'sensitivity': 'sensitivity', 'specificity': 'specificity',
    'ppv': 'PPV', 'npv': 'NPV', 'f1': 'F1', 'auroc': 'AUROC', 'auprc': 'AUPRC',
    'brier': 'Brier score', 'ece': 'ECE', 'nll': 'negative log-likelihood', 'mAP': 'COCO AP',
    'mAP_50': 'COCO AP50', 'mAP_75': 'COCO AP75', 'per_image_mAP': 'AP per slice',
    'per_image_mAP_50': 'AP50 per slice', 'per_image_mAP_75': 'AP75 per slice', 'ap': 'COCO AP',
    'ap50': 'COCO AP50', 'dice': 'Dice, mean of slices', 'dice_pooled': 'Dice, all pixels'}
LESION_HEADLINES = (
    'mAP', 'mAP_50', 'mAP_75', 'per_image_mAP', 'per_image_mAP_50', 'per_image_mAP_75')
LESION_FIGURES = ('ap', 'ap50', 'dice', 'dice_pooled')
CAPTIONS = {
    'roc': 'ROC curves, each class against the rest.',
    'precision_recall': 'Precision-recall curves; the dashed line is the share of the class.',
    'reliability': 'Reliability: accuracy of slices by confidence (highest score), and their '
                   'number. On the diagonal, scores are probabilities.',
    'coverage_accuracy': 'Accuracy on what remains when the least confident cases are left '
                         'undecided.'}


def render(data: dict, figures: dict[str, str], checklists: Sequence[dict], title: str) -> str:
    """Lay the report out.

    Args:
        data (dict): Figures, of :class:`~mmcovid.analysis.evaluation.measure.Results`.
        figures (dict[str, str]): SVG text by name.
        checklists (Sequence[dict]): Of :func:`~.checklist.fill_checklists`.
        title (str): Heading of the page.

    Returns:
        str: The HTML page.
    """
    sections = [('Summary', _summary(data))]
    for level in data['figures']:
        sections.append((_level_title(level), _lesions(data) if level == 'lesion'
                         else _classification(data, level)))
    if any(data['differences'].values()):
        sections.append(('Comparison', _comparison(data)))
    if figures:
        sections.append(('Curves', _pictures(figures, ('roc', 'precision_recall'))))
    if 'calibration' in data:
        sections.append(('Calibration', _calibration(data) + _pictures(figures, ['reliability'])))
        sections.append(('Abstention',
                         _abstention(data) + _pictures(figures, ['coverage_accuracy'])))
    if 'subgroups' in data:
        sections.append(('Subgroups', _subgroups(data)))
    if data.get('errors'):
        sections.append(('Errors', _errors(data)))
    if data.get('lesion_errors'):
        sections.append(('Lesion errors', _lesion_errors(data)))
    sections += [('Checklists', _checklists(checklists)), ('Method', _method(data))]
    return page(title, sections)


def _level_title(level: str) -> str:
    return 'Lesions' if level == 'lesion' else f'Classification by {level}'


def _summary(data: dict) -> str:
    cards = []
    for level, size in data['sets'].items():
        names = data['lesion_classes'] if level == 'lesion' else data['classes']
        counts = ', '.join(f'{n:,} {escape(name)}' for n, name in zip(size['per_class'], names))
        what = 'slices with lesion masks' if level == 'lesion' else f'{level}s'
        cards.append(f'<div class="card"><strong>{size["cases"]:,}</strong> {what}'
                     + ('' if level == 'patient' else f' of {size["patients"]:,} patients')
                     + f'<small>{counts}</small></div>')
    models = list(dict.fromkeys(entry['model'] for entry in data['inputs']))
    columns = [(level, key) for level in data['figures']
               for key in (('mAP', 'mAP_50', 'per_image_mAP') if level == 'lesion'
                           else ('accuracy', 'macro_auroc'))]
    header = ['model', *(f'{LABELS[key]}<small>{_by(level)}</small>' for level, key in columns)]
    rows = [[escape(model), *(number(data['figures'][level][model][key])
                              for level, key in columns)] for model in models]
    notes = ''.join(f'<li>{escape(note)}</li>' for note in data['notes'])
    return (f'<div class="cards">{"".join(cards)}</div>{table(header, rows)}'
            f'<p>Below each figure stands its 95 % interval, from {data["settings"]["rounds"]:,} '
            'resamples of patients with all their slices.</p>'
            + (f'<ul class="notes">{notes}</ul>' if notes else ''))


def _by(level: str) -> str:
    return 'lesions' if level == 'lesion' else f'by {level}'


def _classification(data: dict, level: str) -> str:
    parts = []
    if level != 'slice':
        parts.append(f'<p>The scores of a {level} are the {escape(data["settings"]["aggregate"])} '
                     'over its slices; the highest one is its class.</p>')
    for model, figures in data['figures'][level].items():
        overall = ''.join(f'<div class="card">{LABELS[key]}<div>{number(figures[key])}</div></div>'
                          for key in HEADLINES)
        rows = [[escape(name), *(number(figures[f'{name}_{key}']) for key in CLASS_FIGURES)]
                for name in data['classes']]
        parts.append(
            f'<h3>{escape(model)}</h3><div class="cards">{overall}</div>'
            + table(['class', *(LABELS[key] for key in CLASS_FIGURES)], rows)
            + _confusion(data['confusion'][level][model], data['classes']))
    return ''.join(parts)


def _confusion(matrix: list[list[int]], classes: Sequence[str]) -> str:
    rows = []
    for name, counts in zip(classes, matrix):
        total = max(sum(counts), 1)
        rows.append([escape(name), *(
            f'<span class="cell" style="--share:{count / total:.3f}">{count:,}'
            f'<small>{count / total:.1%}</small></span>' for count in counts)])
    return ('<details open><summary>Confusion matrix (rows: truth, columns: prediction)</summary>'
            + table(['', *map(escape, classes)], rows, 'confusion') + '</details>')


def _lesions(data: dict) -> str:
    parts = ['<p>Average precision is of masks, at IoU 0.5 to 0.95. COCO AP is as COCO defines it, '
             'the mean over classes. AP per slice is another ruler, that of the releases of the '
             'one-shot model’s author: in each slice with all classes pooled, the mean over '
             f'slices. Dice counts instances of score {data["settings"]["score_thr"]:g} or '
             'more.</p>']
    for model, figures in data['figures']['lesion'].items():
        overall = ''.join(f'<div class="card">{LABELS[key]}<div>{number(figures[key])}</div></div>'
                          for key in LESION_HEADLINES)
        rows = [[escape(name), *(number(figures[f'{name}_{key}']) for key in LESION_FIGURES)]
                for name in data['lesion_classes']]
        parts.append(f'<h3>{escape(model)}</h3><div class="cards">{overall}</div>'
                     + table(['class', *(LABELS[key] for key in LESION_FIGURES)], rows))
    return ''.join(parts)


def _comparison(data: dict) -> str:
    parts = [f'<p>Differences from <b>{escape(data["reference"])}</b>, on the same resamples. '
             'Marked are those whose interval excludes 0; many figures are compared, and no '
             'correction is made for that.</p>']
    levels = [level for level in data['differences'] if level != 'lesion']
    keys = [*HEADLINES, *(f'{name}_{key}' for name in data['classes']
                          for key in ('sensitivity', 'specificity', 'auroc'))]
    parts.append(_differences(data, levels, keys))
    if 'lesion' in data['differences']:
        keys = [*LESION_HEADLINES, *(f'{name}_{key}' for name in data['lesion_classes']
                                     for key in ('ap50', 'dice'))]
        parts.append(_differences(data, ['lesion'], keys))
    return ''.join(parts)


def _differences(data: dict, levels: Sequence[str], keys: Sequence[str]) -> str:
    """A table of differences, a row per figure, a column per model and level."""
    columns = [(name, level) for level in levels for name in data['differences'][level]]
    if not columns:
        return ''
    header = ['figure', *(f'{escape(name)}<small>{_by(level)}</small>' for name, level in columns)]
    rows = [[_figure_name(key, data), *(
        _difference(data['differences'][level][name][key]) for name, level in columns)]
        for key in keys]
    return table(header, rows)


def _figure_name(key: str, data: dict) -> str:
    for name in (*data['classes'], *data['lesion_classes']):
        if key.startswith(f'{name}_'):
            return f'{escape(name)}: {LABELS[key[len(name) + 1:]]}'
    return LABELS[key]


def _difference(entry: dict) -> str:
    clear = entry['low'] > 0 or entry['high'] < 0
    return f'<span class="{"clear" if clear else ""}">{number(entry, signed=True)}</span>'


def _calibration(data: dict) -> str:
    rows = []
    for model, runs in data['calibration'].items():
        for i, run in enumerate(runs):
            name = escape(model) + (f' (run {i + 1})' if len(runs) > 1 else '')
            rows.append([name, 'as predicted', *map(number, run['before'].values())])
            if 'after' in run:
                rows.append([name, 'T = 1, as none fits' if run['note']
                             else f'T = {run["temperature"]:.4g}',
                             *map(number, run['after'].values())])
    text = ('<p>Of the slices’ scores. Lower is better; ECE is of the predicted class, in 15 bins; '
            'it is biased upwards in small sets and more so in resamples, so it has no interval.')
    if any('after' in run for runs in data['calibration'].values() for run in runs):
        text += (' Temperatures were fitted on validation slices that share no patient with the '
                 'test set. To predict with one: <code>--cfg-options '
                 'model.attention_head.temperature=T</code> (baselines: '
                 '<code>model.image_head</code>).')
    else:
        text += ' For a temperature, give a validation set with <code>--calibrate-on</code>.'
    return f'{text}</p>' + table(
        ['model', 'scores', *(LABELS[key] for key in ('brier', 'ece', 'nll'))], rows)


def _abstention(data: dict) -> str:
    parts = ['<p>A case is decided if its highest score reaches the threshold, and otherwise left '
             'to a reader. Thresholds are of '
             + ('calibrated scores' if any('after' in run for runs in data['calibration'].values()
                                           for run in runs) else 'scores as predicted')
             + '; those for a coverage were read off this test set.</p>']
    for level, models in data['abstention'].items():
        rows = [[escape(model), f'{row["threshold"]:.3f}' + (' (chosen)' if row['chosen'] else ''),
                 f'{row["kept"]:,}', number(row['coverage']), number(row['accuracy'])]
                for model, entries in models.items() for row in entries]
        parts.append(f'<h3>By {level}</h3>' + table(
            ['model', 'threshold', 'decided', 'coverage', 'accuracy on these'], rows))
    return ''.join(parts)


def _subgroups(data: dict) -> str:
    parts = ['<p>Of slices. Small groups have wide intervals; a difference between two groups is '
             'not tested here.</p>']
    for column, groups in data['subgroups'].items():
        rows = []
        for group, entry in groups.items():
            for model, figures in entry['figures'].items():
                rows.append([
                    escape(group), escape(model), f'{entry["slices"]:,}', f'{entry["patients"]:,}',
                    number(figures['accuracy']), number(figures['macro_f1']),
                    *(number(figures[f'{name}_sensitivity']) for name in data['classes'])])
        parts.append(f'<h3>{escape(column)}</h3>' + table(
            ['group', 'model', 'slices', 'patients', 'accuracy', 'macro F1',
             *(f'{escape(name)} sensitivity' for name in data['classes'])], rows))
    return ''.join(parts)


def _errors(data: dict) -> str:
    parts = ['<p>The wrong slices of which each model was surest, at first one of each patient; '
             'beside the classes, their scores.</p>']
    for model, entries in data['errors'].items():
        parts.append(_gallery_head(model, entries))
        for entry in entries:
            truth, pred = (escape(data['classes'][entry[key]]) for key in ('truth', 'pred'))
            caption = (f'<b>{pred}</b> {entry["score"]:.2f}, truth <b>{truth}</b> '
                       f'{entry["true_score"]:.2f}<small>{escape(entry["id"])}</small>')
            parts.append(figure(entry['image'], caption, f'slice {entry["id"]}', 'error'))
    return ''.join(parts)


def _lesion_errors(data: dict) -> str:
    parts = ['<p>The slices with the least Dice, as the mean of the classes in truth or '
             'prediction, at first one of each patient: true lesions on the left, predicted ones '
             f'of score {data["settings"]["score_thr"]:g} or more on the right. The lung is '
             'outlined in blue, GGO is amber, consolidation magenta.</p>']
    for model, entries in data['lesion_errors'].items():
        parts.append(_gallery_head(model, entries))
        for entry in entries:
            dice = ', '.join(f'{escape(name)} <b>{value:.2f}</b>'
                             for name, value in entry['dice'].items())
            # the folder is the patient in the lesion set
            name = '/'.join(Path(entry['path']).parts[-2:]) or entry['id']
            caption = f'Dice: {dice}<small>{escape(name)}</small>'
            parts.append(figure(entry['image'], caption, f'slice {name}', 'error pair'))
    return ''.join(parts)


def _gallery_head(model: str, entries: Sequence[dict]) -> str:
    missing = sum(entry['image'] is None for entry in entries)
    note = (f'<p class="notes">{missing} of {len(entries)} images cannot be read; give their '
            'folder with <code>--image-root</code>.</p>' if missing else '')
    return f'<h3>{escape(model)}</h3>{note}'


def _checklists(rows: Sequence[dict]) -> str:
    parts = ['<p>What a test run can tell is filled in; the rest is the authors’ to write. Items '
             'are paraphrased: use the official forms for a submission. The same rows are in '
             '<code>checklists.csv</code>. Sources: Collins et al., <cite>BMJ</cite> '
             '2024;385:e078378; Tejani et al., <cite>Radiol Artif Intell</cite> '
             '2024;6(4):e240300.</p>']
    for checklist in dict.fromkeys(row['checklist'] for row in rows):
        own = [row for row in rows if row['checklist'] == checklist]
        answered = sum(row['status'] != 'open' for row in own)
        cells = [[escape(row['item']), escape(row['asks']),
                  f'<span class="{row["status"].replace(" ", "-")}">{row["status"]}</span>',
                  escape(row['answer'])] for row in own]
        parts.append(f'<details><summary>{checklist}: {answered} of {len(own)} items answered or '
                     f'answered in part</summary>'
                     + table(['item', 'asks for', 'status', 'answer'], cells, 'text')
                     + '</details>')
    return ''.join(parts)


def _method(data: dict) -> str:
    settings = data['settings']
    rows = [[escape(entry['model']), f'<code>{escape(entry["file"])}</code>',
             f'{entry["slices"]:,}', f'{entry["lesion_slices"]:,}',
             f'<code>{entry["sha256"][:16]}</code>'] for entry in data['inputs']]
    several = len(data['inputs']) > len({entry['model'] for entry in data['inputs']})
    return (
        f'<p>Bootstrap: patients are drawn with replacement, with all their slices, '
        f'{settings["rounds"]:,} times (seed {settings["seed"]}). Intervals are 95 % t '
        'intervals: the standard error is that of the resamples, the degrees of freedom '
        '(Satterthwaite) tell how many patients make it up. Those of figures in 0 to 1 are on the '
        'logit scale and, in classification, no wider than Wilson’s interval of as many cases as '
        'there are patients (their effective number, Kish); a figure of 0 or 1 has the latter. †: '
        'all resamples give the same and nothing is known of the precision. “Undefined” is a '
        'figure whose denominator is 0. No interval is given where more than a tenth of the '
        'resamples do not define the figure. Macro figures are means over the classes that the '
        'set has.'
        + (' Figures of a model with several runs are means over the runs, their intervals are of '
           'these means, and SD is the standard deviation between runs; curves, confusion matrices '
           'and pictures are of its first run.' if several else '')
        + '</p>' + table(['model', 'file', 'slices', 'lesion slices', 'SHA-256'], rows)
        + f'<p>{escape(spell_software())}. For research only.</p>')


def _pictures(figures: dict[str, str], names: Sequence[str]) -> str:
    return ''.join(svg_figure(figures[name], CAPTIONS[name]) for name in names if name in figures)


def title_of(path: str | Path) -> str:
    """Heading of a report, from the folder it is written to."""
    return f'Evaluation: {Path(path).resolve().name}'
