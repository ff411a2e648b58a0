"""Pages from templates: HTML in one file that needs nothing else, and runs no other script."""

import base64
import hashlib
import math
import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from .uris import data_uri


def render(template: str, **context: Any) -> str:
    """A page.

    Args:
        template (str): File in ``mmcovid/reporting/templates``. All text that it is given is
            escaped.
        **context: What it is made of; a page has a ``title``.

    Returns:
        str: The HTML.

    Raises:
        jinja2.UndefinedError: The template uses what it was not given.
    """
    return _ENVIRONMENT.get_template(template).render(**context)


def anchor(name: str) -> str:
    """What a section is linked by."""
    return re.sub(r'\W+', '-', name.lower()).strip('-')


def decimals(value: float, places: int, signed: bool = False) -> str:
    """A number with a typographic minus."""
    return f'{value:{"+" if signed else ""}.{places}f}'.replace('-', '−')


def template_text(name: str) -> str:
    """A template as it stands, such as a script, whose hash a page has to tell."""
    loader = _ENVIRONMENT.loader
    assert loader is not None
    return loader.get_source(_ENVIRONMENT, name)[0]


def source_hash(script: str) -> str:
    """What a Content-Security-Policy knows a script by."""
    digest = hashlib.sha256(script.encode()).digest()
    return f'sha256-{base64.b64encode(digest).decode()}'


def _make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader('mmcovid.reporting'),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        anchor=anchor,
        hash=source_hash,
        decimals=decimals,
        thousands=lambda number: f'{number:,}',
        percent=lambda share, places=1: f'{share:.{places}%}',
        svg_uri=lambda svg: data_uri(svg.encode(), 'image/svg+xml'),
        capital=lambda text: text[:1].upper() + text[1:],
    )
    environment.tests['nan'] = math.isnan
    return environment


_ENVIRONMENT = _make_environment()
