"""The notebook of the documentation: as it is committed, and run once more."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / 'docs/en/tutorial.ipynb'


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_is_committed_as_it_was_run(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = [output.output_type for cell in cells for output in cell.outputs]
    assert 'display_data' in kinds
    assert 'error' not in kinds


def test_shows_no_folder_of_the_machine_that_ran_it(notebook):
    outputs = json.dumps([cell.get('outputs') for cell in notebook.cells])
    for folder in ('/home/', '/tmp/', '/root/', '/opt/', str(NOTEBOOK.parents[2])):
        assert folder not in outputs


#: What the test shortens.
SHORTER = {
    'max_iters=20, val_interval=20': 'max_iters=2, val_interval=2',
    'train_cfg = dict(': 'model = dict(test_cfg=dict(rcnn=dict(max_per_img=8)))\ntrain_cfg = dict(',
    'logger=dict(interval=10), checkpoint=dict(interval=20': (
        'logger=dict(interval=1), checkpoint=dict(interval=2'
    ),
    "'--patients-per-class',\n    6,": "'--patients-per-class',\n    1,",
    "'--lesion-patients-per-class',\n    4,": "'--lesion-patients-per-class',\n    1,",
    "'--lesion-test-patients-per-class',\n    2,": "'--lesion-test-patients-per-class',\n    1,",
}


@pytest.mark.slow
def test_runs(notebook):
    for long, short in SHORTER.items():
        (cell,) = (cell for cell in notebook.cells if long in cell.source)
        cell.source = cell.source.replace(long, short)
    NotebookClient(notebook, timeout=600, kernel_name='python3').execute()
