"""A model card as Markdown.

The headings are those of M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import timedelta

from mmcovid.reporting.results_table import format_results
from mmcovid.utils.escape import markdown, printable

from .schema import Card, CheckpointFile, Run, SetFacts

ROLES = dict(train='training', val='validation', test='test')


def to_markdown(card: Card) -> str:
    """Lay a card out for people.

    Args:
        card (Card): Content of ``model_card.json``.

    Returns:
        str: Markdown, with a newline at its end.
    """
    sections = {
        'Model details': _details(card),
        'Intended use': [card['intended_use']],
        'Factors': [
            'Figures by class are below. Scanner, site, sex and age are not known to the training; '
            'figures by such groups need a test on data that has them.'
        ],
        'Metrics': [
            'Lesions: COCO average precision of masks and boxes. Classes: accuracy, and each class '
            'against the rest. Figures are of slices, without intervals.'
        ],
        'Evaluation data': _data(card, ('val', 'test')),
        'Training data': _data(card, ('train',)),
        'Quantitative analyses': _analyses(card),
        'Ethical considerations': [
            'Licences of the training data, which may bind what is made of them, too:',
            _table(('data', 'licence'), card['licences'].items()),
        ],
        'Caveats and recommendations': [_list(card['limits'])],
        'How to cite': [card['citation']],
    }
    if card['missing']:
        sections['What this card lacks'] = [
            _list(f'{what}: {reason}' for what, reason in card['missing'].items())
        ]
    blocks = [
        f'# Model card: {markdown(card["name"])}',
        f'Written by mmcovid, {card["updated"]}. Research only, no medical device. Twelve '
        'digits are the beginning of a SHA-256; `model_card.json` has all in full.',
    ]
    for title, content in sections.items():
        blocks += [f'## {title}', *(block for block in content if block)]
    return '\n\n'.join(blocks) + '\n'


def _details(card: Card) -> list[str]:
    model, training, runs = card['model'], card['training'], card['runs']
    last = runs[-1]
    software, hardware = last['software'] or {}, last['hardware'] or {}
    git = software.get('git')
    finished = '' if training['finished'] else ', not finished when this was written'
    rows = [
        ('classes of lesions', ', '.join(card['classes'])),
        ('classes of slices', ', '.join(card['image_classes'])),
        ('config', f'`{card["config"]["file"]}` ({_short(card["config"]["hash"])})'),
        ('iterations', f'{training["iterations"]:,} of {training["max_iterations"]:,}{finished}'),
        ('epochs', training['epochs']),
        ('batch of each process', ', '.join(_spell(training['batch']))),
        ('optimiser', ', '.join(_spell(training['optimizer']))),
        ('time', str(timedelta(seconds=round(sum(run['seconds'] for run in runs))))),
        ('seed', last['seed']),
        ('deterministic algorithms', 'on' if last['deterministic'] else 'off'),
        (
            'hardware',
            f'{hardware.get("device")}, processes: {hardware.get("processes")}; CPU: '
            f'{hardware.get("cpu")}, {hardware.get("cpu_cores")} cores',
        ),
        (
            'software',
            ', '.join(
                f'{name} {version}'
                for name, version in software.items()
                if name != 'git' and version
            ),
        ),
        (
            'code',
            f'commit `{git["commit"]}`{"" if git["clean"] else ", with changes"}' if git else None,
        ),
        (
            'initial weights',
            '; '.join(f'{each["of"]}: {each["source"]}' for each in card['initial_weights'] or ())
            or 'random',
        ),
        ('checkpoint', _file(card['checkpoint'])),
    ]
    parts = []
    if model:
        rows.insert(
            0,
            (
                'model',
                f'{model["detector"]}, {model["parameters"]:,} parameters, '
                f'{model["trainable"]:,} of them trainable',
            ),
        )
        parts = [
            _table(
                ('part', 'type', 'parameters'),
                [
                    (name, part['type'], f'{part["parameters"]:,}')
                    for name, part in model['parts'].items()
                    if part['parameters']
                ],
            )
        ]
    return [
        _table(('', ''), [row for row in rows if row[1] not in (None, '')]),
        *parts,
        *_runs(runs, training['unrecorded_iterations']),
    ]


def _runs(runs: list[Run], unrecorded: int) -> list[str]:
    """The parts of a training that was resumed."""
    if len(runs) == 1 and not unrecorded:
        return []
    blocks = ['The training was resumed:' if len(runs) > 1 else 'The training was resumed.']
    if unrecorded:
        blocks.append(f'Of the first {unrecorded:,} iterations there is no record.')
    blocks.append(
        _table(
            ('begun', 'iterations', 'seconds', 'seed', 'config', 'mmcovid', 'device'),
            [
                (
                    run['begun'],
                    f'{run["from_iteration"]:,} to {run["to_iteration"]:,}',
                    f'{run["seconds"]:.0f}',
                    run['seed'],
                    _short(run['config_hash']),
                    _version(run['software'] or {}),
                    (run['hardware'] or {}).get('device'),
                )
                for run in runs
            ],
        )
    )
    return blocks


def _version(software: dict) -> str:
    commit = (software.get('git') or {}).get('commit', '')
    return f'{software.get("mmcovid")} {commit[:8]}'.strip()


def _data(card: Card, roles: Sequence[str]) -> list[str]:
    blocks = []
    for role in roles:
        for each in card['data'].get(role, ()):
            blocks += _set(f'{each["dataset"]} for {ROLES[role]}', each)
    return blocks or ['Not known.']


def _set(title: str, facts: SetFacts) -> list[str]:
    """What is said of one set."""
    lines = [
        f'`{annotation["file"]}`, {_describe_card(annotation["data_card"])}, '
        f'{_short(annotation["sha256"])}'
        for annotation in facts['annotations']
    ]
    if facts['images']:
        lines.append(f'images in `{facts["images"]}`')
    if facts['skip_list']:
        lines.append(f'without the slices of `{facts["skip_list"]}`')
    if facts.get('per_class'):  # not in the cards of former versions
        lines.append(f'{facts["per_class"]:,} slices of each class, a fixed draw')
    if 'slices' not in facts:
        lines.append('not loaded in the training, and so not counted')
        return [f'**{markdown(title)}**', _list(lines)]
    patients = f' of {facts["patients"]:,} known patients' if 'patients' in facts else ''
    unknown = facts.get('slices_of_unknown_patients')
    lines.append(
        f'{facts["slices"]:,} slices{patients}'
        + (f', {unknown:,} slices of unknown patients' if unknown else '')
    )
    rows = [
        (name, *(f'{counts[key]:,}' for key in counts))
        for name, counts in facts.get('classes', {}).items()
    ]
    columns = next(iter(facts.get('classes', {}).values()), ())
    return [f'**{markdown(title)}**', _list(lines), _table(('class', *columns), rows)]


def _describe_card(data_card: dict | None) -> str:
    if data_card is None:
        return 'no data card'
    changed = '' if data_card['as_converted'] else ', **changed since its conversion**'
    return f'{data_card["source"]}{changed}'


def _analyses(card: Card) -> list[str]:
    blocks = []
    if card['validation']:
        blocks += [
            f'Validation after {card["validation"]["iteration"]:,} iterations:',
            _figures(card['validation']['metrics']),
        ]
    for test in card['tests']:
        same = test['config']['model_hash'] == card['config']['model_hash']
        blocks += [
            f'Test of {_file(test["checkpoint"])}, {test["time"]}, config '
            f'`{test["config"]["file"]}` ({_short(test["config"]["hash"])}), '
            f'{"model as in the training" if same else "**another model than in the training**"}:',
            _figures(test['metrics']),
        ]
        for each in test['data']:
            blocks += _set(f'{each["dataset"]} of this test', each)
    return blocks or ['No validation nor test yet.']


def _figures(metrics: dict) -> str:
    shown = {name: math.nan if value is None else value for name, value in metrics.items()}
    return f'```text\n{printable(format_results(shown)).replace("`", "_")}\n```'


def _file(checkpoint: CheckpointFile | None) -> str | None:
    return f'`{checkpoint["file"]}`, sha256 `{checkpoint["sha256"]}`' if checkpoint else None


def _short(digest: str) -> str:
    """The beginning of a hash; it is in full in the JSON."""
    return f'`{digest[:12]}`'


def _spell(options: dict | None) -> Iterable[str]:
    return (f'{key} {value}' for key, value in (options or {}).items() if value is not None)


def _list(lines: Iterable[str]) -> str:
    return '\n'.join(f'- {markdown(line)}' for line in lines)


def _table(header: Sequence[str], rows: Iterable[Sequence]) -> str:
    rows = [[markdown(cell).replace('|', '\\|') for cell in row] for row in rows]
    if not rows:
        return ''
    return '\n'.join(f'| {" | ".join(row)} |' for row in (header, ['---'] * len(header), *rows))
