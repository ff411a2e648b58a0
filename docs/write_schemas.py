"""Write the JSON schemas of what mmcovid gives out, from its dataclasses.

They are in ``docs/en/schemas``; run ``python docs/write_schemas.py`` after a change of
``mmcovid.results``.
"""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mmcovid.results import AttentionReport, EvaluationReport, LesionReport, ScanResults
from mmcovid.utils.files import write_json

OUT = Path(__file__).parent / 'en/schemas'
REPORTS = {
    'attention_report': AttentionReport,
    'evaluation_report': EvaluationReport,
    'lesion_report': LesionReport,
    'scan_results': ScanResults,
}
#: What leaves out what it does not know; all else writes every property.
SPARSE = {'ScanSlice'}


def make_schema(report: type) -> dict[str, Any]:
    """JSON schema of a dataclass as :func:`mmcovid.utils.files.write_json` writes it.

    Args:
        report (type): The dataclass.

    Returns:
        dict[str, Any]: The schema. All properties are required that are always written.
    """
    schema = TypeAdapter(report).json_schema(mode='serialization')
    return {'$schema': 'https://json-schema.org/draft/2020-12/schema', **_as_written(schema)}


def _as_written(schema: Any) -> Any:
    """A part of a schema, with names of properties without their trailing underscore."""
    if isinstance(schema, list):
        return [_as_written(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    written = {key: _as_written(part) for key, part in schema.items() if key != 'properties'}
    if 'properties' in schema:
        written['properties'] = {
            name.removesuffix('_'): _describe(name, _as_written(part))
            for name, part in schema['properties'].items()
        }
        written['required'] = [
            name.removesuffix('_')
            for name, part in schema['properties'].items()
            if schema.get('title') not in SPARSE or 'default' not in part
        ]
    return written


def _describe(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """A property, without a title that repeats its name, nor a default, as it is always there."""
    described = {key: value for key, value in part.items() if key not in ('title', 'default')}
    if name == 'schema_version' and 'default' in part:
        return dict(const=part['default'])
    return described


def main() -> None:
    for name, report in REPORTS.items():
        write_json(make_schema(report), OUT / f'{name}.json')


if __name__ == '__main__':
    main()
