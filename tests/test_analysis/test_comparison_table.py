import csv

from mmcovid.analysis.comparison.table import COLUMNS, write_comparison

ROWS = [
    {'system': 'One-shot | LSTM-2', 'status': 'done', 'parameters': 23_488_392, 'iterations': 600,
     'train_seconds': 571.4, 'coco/segm_mAP': 0.25, 'per_image/segm_mAP': 0.375,
     'image/accuracy': 0.97549,
     'image/cp_sensitivity': None, 'image/confusion_matrix': [[1, 2], [3, 4]]},
    {'system': 'Mask R-CNN', 'status': 'failed: RuntimeError: no memory'},
]


def read_markdown(path):
    lines = path.read_text(encoding='utf-8').splitlines()
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return [dict(zip(cells[0], row)) for row in cells[2:]]


def test_markdown_is_rounded(tmp_path):
    write_comparison(ROWS, tmp_path / 'table')
    first, second = read_markdown(tmp_path / 'table.md')
    assert first == dict.fromkeys(COLUMNS.values(), '-') | {
        'system': 'One-shot / LSTM-2', 'status': 'done', 'parameters': '23,488,392',
        'iterations': '600', 'training time': '0:09:31', 'COCO mAP': '0.250',
        'mAP per slice': '0.375', 'accuracy': '0.975', 'CP sensitivity': 'undefined'}
    assert second == dict.fromkeys(COLUMNS.values(), '-') | {
        'system': 'Mask R-CNN', 'status': 'failed: RuntimeError: no memory'}


def test_csv_is_as_measured(tmp_path):
    write_comparison(ROWS, tmp_path / 'table')
    with open(tmp_path / 'table.csv', encoding='utf-8', newline='') as file:
        first, second = csv.DictReader(file)
    assert first == dict.fromkeys(COLUMNS, '-') | {
        'system': 'One-shot | LSTM-2', 'seed': '', 'status': 'done', 'parameters': '23488392',
        'iterations': '600', 'train_seconds': '571.4', 'coco/segm_mAP': '0.25',
        'per_image/segm_mAP': '0.375',
        'image/accuracy': '0.97549', 'image/cp_sensitivity': 'undefined'}
    assert second['status'] == 'failed: RuntimeError: no memory'


SEEDS = [
    {'system': 'A', 'seed': 0, 'status': 'done', 'parameters': 5, 'image/accuracy': 0.5,
     'coco/segm_mAP': None, 'train_seconds': 60.0, 'image/cp_sensitivity': 1.0},
    {'system': 'B', 'seed': 0, 'status': 'not run'},
    {'system': 'A', 'seed': 1, 'status': 'done', 'parameters': 5, 'image/accuracy': 0.7,
     'coco/segm_mAP': None, 'train_seconds': 62.0, 'image/cp_sensitivity': None},
    {'system': 'B', 'seed': 1, 'status': 'failed: no luck'},
    {'system': 'A', 'seed': 2, 'status': 'unfinished'},
]


def test_trainings_of_a_system_are_one_row_of_the_markdown(tmp_path):
    write_comparison(SEEDS, tmp_path / 'table')
    first, second = read_markdown(tmp_path / 'table.md')
    assert first == dict.fromkeys(COLUMNS.values(), '-') | {
        'system': 'A', 'status': '2 done; 1 unfinished', 'parameters': '5',
        'accuracy': '0.600 ± 0.141', 'COCO mAP': 'undefined', 'CP sensitivity': '1.000',
        'training time': '0:01:01 ± 0:00:01'}
    assert second['status'] == '1 not run; 1 failed: no luck'


def test_trainings_of_a_system_are_rows_of_the_csv(tmp_path):
    write_comparison(SEEDS, tmp_path / 'table')
    with open(tmp_path / 'table.csv', encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['system'], row['seed'], row['image/accuracy']) for row in rows] == [
        ('A', '0', '0.5'), ('B', '0', '-'), ('A', '1', '0.7'), ('B', '1', '-'), ('A', '2', '-')]
