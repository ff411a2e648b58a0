import csv

from mmcovid.analysis.comparison.table import ComparisonRow, columns_of, write_comparison

ROWS = [
    ComparisonRow(
        'One-shot | LSTM-2',
        'done',
        figures={
            'parameters': 23_488_392,
            'iterations': 600,
            'train_seconds': 571.4,
            'coco/segm_mAP': 0.25,
            'per_image/segm_mAP': 0.375,
            'image/accuracy': 0.97549,
            'image/cp_sensitivity': None,
            'image/confusion_matrix': [[1, 2], [3, 4]],
        },
    ),
    ComparisonRow('Mask R-CNN', 'failed: RuntimeError: no memory'),
]
COLUMNS = columns_of(ROWS)


def read_markdown(path):
    lines = path.read_text(encoding='utf-8').splitlines()
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return [dict(zip(cells[0], row)) for row in cells[2:]]


def test_markdown_is_rounded(tmp_path):
    write_comparison(ROWS, tmp_path / 'table')
    first, second = read_markdown(tmp_path / 'table.md')
    assert first == dict.fromkeys(COLUMNS.values(), '-') | {
        'system': 'One-shot / LSTM-2',
        'status': 'done',
        'parameters': '23,488,392',
        'iterations': '600',
        'training time': '0:09:31',
        'COCO mAP': '0.250',
        'mAP per slice': '0.375',
        'accuracy': '0.975',
        'CP sensitivity': 'undefined',
    }
    assert second == dict.fromkeys(COLUMNS.values(), '-') | {
        'system': 'Mask R-CNN',
        'status': 'failed: RuntimeError: no memory',
    }


def test_csv_is_as_measured(tmp_path):
    write_comparison(ROWS, tmp_path / 'table')
    with open(tmp_path / 'table.csv', encoding='utf-8', newline='') as file:
        first, second = csv.DictReader(file)
    assert first == dict.fromkeys(COLUMNS, '-') | {
        'system': 'One-shot | LSTM-2',
        'seed': '',
        'status': 'done',
        'parameters': '23488392',
        'iterations': '600',
        'train_seconds': '571.4',
        'coco/segm_mAP': '0.25',
        'per_image/segm_mAP': '0.375',
        'image/accuracy': '0.97549',
        'image/cp_sensitivity': 'undefined',
    }
    assert second['status'] == 'failed: RuntimeError: no memory'


SEEDS = [
    ComparisonRow(
        'A',
        'done',
        0,
        {
            'parameters': 5,
            'image/accuracy': 0.5,
            'coco/segm_mAP': None,
            'train_seconds': 60.0,
            'image/cp_sensitivity': 1.0,
        },
    ),
    ComparisonRow('B', 'not run', 0),
    ComparisonRow(
        'A',
        'done',
        1,
        {
            'parameters': 5,
            'image/accuracy': 0.7,
            'coco/segm_mAP': None,
            'train_seconds': 62.0,
            'image/cp_sensitivity': None,
        },
    ),
    ComparisonRow('B', 'failed: no luck', 1),
    ComparisonRow('A', 'unfinished', 2),
]


def test_trainings_of_a_system_are_one_row_of_the_markdown(tmp_path):
    write_comparison(SEEDS, tmp_path / 'table')
    first, second = read_markdown(tmp_path / 'table.md')
    assert first == dict.fromkeys(COLUMNS.values(), '-') | {
        'system': 'A',
        'status': '2 done; 1 unfinished',
        'parameters': '5',
        'accuracy': '0.600 ± 0.141',
        'COCO mAP': 'undefined',
        'CP sensitivity': '1.000',
        'training time': '0:01:01 ± 0:00:01',
    }
    assert second['status'] == '1 not run; 1 failed: no luck'


def test_trainings_of_a_system_are_rows_of_the_csv(tmp_path):
    write_comparison(SEEDS, tmp_path / 'table')
    with open(tmp_path / 'table.csv', encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['system'], row['seed'], row['image/accuracy']) for row in rows] == [
        ('A', '0', '0.5'),
        ('B', '0', '-'),
        ('A', '1', '0.7'),
        ('B', '1', '-'),
        ('A', '2', '-'),
    ]


def row_of(lesions=(), images=()):
    return ComparisonRow(
        'A',
        'done',
        figures={
            **{f'coco/segm_{name}_precision': 0.5 for name in lesions},
            **{f'coco/bbox_{name}_precision': 0.5 for name in lesions},
            **{f'image/{name}_sensitivity': 0.5 for name in images},
            'image/macro_sensitivity': 0.5,
        },
    )


def test_columns_of_the_usual_classes():
    columns = columns_of([row_of(('lung', 'ggo', 'consolidation'), ('normal', 'cp', 'covid19'))])
    assert list(columns.items()) == [
        ('parameters', 'parameters'),
        ('per_image/segm_mAP', 'mAP per slice'),
        ('per_image/segm_mAP_50', 'AP50 per slice'),
        ('per_image/segm_mAP_75', 'AP75 per slice'),
        ('coco/segm_mAP', 'COCO mAP'),
        ('coco/segm_mAP_50', 'COCO AP50'),
        ('coco/segm_mAP_75', 'COCO AP75'),
        ('coco/segm_lung_precision', 'COCO mAP, lung'),
        ('coco/segm_ggo_precision', 'COCO mAP, GGO'),
        ('coco/segm_consolidation_precision', 'COCO mAP, consolidation'),
        ('image/covid19_sensitivity', 'COVID-19 sensitivity'),
        ('image/cp_sensitivity', 'CP sensitivity'),
        ('image/normal_sensitivity', 'normal sensitivity'),
        ('image/accuracy', 'accuracy'),
        ('image/weighted_f1', 'weighted F1'),
        ('iterations', 'iterations'),
        ('train_seconds', 'training time'),
    ]


def test_columns_are_those_of_the_classes_that_systems_have():
    rows = [
        row_of(('ggo', 'crazy paving'), ('covid19', 'influenza')),
        row_of(('lesion', 'lung'), ('normal',)),
    ]
    columns = columns_of(rows)
    assert [title for title in columns.values() if title.startswith('COCO mAP, ')] == [
        'COCO mAP, lung',
        'COCO mAP, GGO',
        'COCO mAP, crazy paving',
        'COCO mAP, lesion',
    ]
    assert [title for title in columns.values() if title.endswith(' sensitivity')] == [
        'COVID-19 sensitivity',
        'normal sensitivity',
        'influenza sensitivity',
    ]


def test_nothing_is_known_of_classes_before_a_test():
    titles = columns_of([ComparisonRow('A', 'not run')]).values()
    assert 'COCO mAP' in titles and not any(title.endswith('sensitivity') for title in titles)
