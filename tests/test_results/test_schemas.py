"""The committed JSON schemas, and that what is written keeps to them."""

import json
from pathlib import Path

import jsonschema
import pytest
from predictions_utils import simulate, simulate_lesions, write_dump
from schema_utils import SCHEMAS, check_schema

from mmcovid.analysis.evaluation import Settings, load_models, load_validation, write_report

REPO = Path(__file__).parents[2]


@pytest.fixture
def write_schemas(monkeypatch):
    monkeypatch.syspath_prepend(REPO / 'docs')
    import write_schemas

    return write_schemas


def test_committed_schemas_are_those_of_the_dataclasses(write_schemas, tmp_path, monkeypatch):
    monkeypatch.setattr(write_schemas, 'OUT', tmp_path)
    write_schemas.main()
    written = {path.name: path.read_text(encoding='utf-8') for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text(encoding='utf-8') for path in SCHEMAS.iterdir()}


@pytest.fixture(scope='module')
def evaluation(tmp_path_factory):
    """A ``report.json`` with all that one can have."""
    folder = tmp_path_factory.mktemp('evaluation')
    test = write_dump(folder / 'test.pkl', simulate(9, 3, sharpness=3) + simulate_lesions(3, 2))
    held_out = simulate(9, 3, sharpness=3, seed=1)
    for entry in held_out:
        entry.update(img_id=f'val {entry["img_id"]}', patient_id=f'val {entry["patient_id"]}')
    (folder / 'meta.csv').write_text(
        'patient_id,sex\n' + ''.join(f'p{i},{"fm"[i % 2]}\n' for i in range(9)), encoding='utf-8'
    )
    models = load_models([f'one={test}', f'one={test}', f'other={test}'])
    validation = load_validation(models, [str(write_dump(folder / 'val.pkl', held_out))] * 3)
    write_report(
        models,
        folder / 'out',
        Settings(rounds=20, metadata=str(folder / 'meta.csv'), subgroups=['sex']),
        validation,
    )
    return json.loads((folder / 'out/report.json').read_text(encoding='utf-8'))


def test_evaluation_report_keeps_to_its_schema(evaluation):
    check_schema(evaluation, 'evaluation_report')
    for part in ('subgroups', 'errors', 'lesion_errors', 'differences', 'abstention'):
        assert evaluation[part], part
    assert evaluation['calibration']['one'][0]['temperature'] > 0


@pytest.mark.parametrize('key', ['figures', 'classes', 'schema_version'])
def test_report_without_a_part_does_not(evaluation, key):
    del (broken := dict(evaluation))[key]
    with pytest.raises(jsonschema.ValidationError, match=key):
        check_schema(broken, 'evaluation_report')
