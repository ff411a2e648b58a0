"""The published JSON schemas."""

import json
from pathlib import Path

import jsonschema

SCHEMAS = Path(__file__).parents[1] / 'docs/en/schemas'


def check_schema(data, name):
    """Make sure that data keep to a schema, and that it is one."""
    schema = json.loads((SCHEMAS / f'{name}.json').read_text(encoding='utf-8'))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(data, schema, jsonschema.Draft202012Validator)
