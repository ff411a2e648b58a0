"""An HTML page in one file that needs nothing else."""
import base64
import math
import re
from collections.abc import Iterable, Sequence
from html import escape

import cv2
import numpy as np

from .style import CSS


def page(title: str, sections: Sequence[tuple[str, str]], lead: str = '', css: str = '') -> str:
    """A whole page: heading, links to its sections, the sections.

    Args:
        title (str): Heading, plain text.
        sections (Sequence[tuple[str, str]]): Heading (plain text) and HTML of each.
        lead (str): HTML between the heading and the links. Defaults to ''.
        css (str): Style rules after those of all pages. Defaults to ''.

    Returns:
        str: The page. It loads nothing, and runs no script.
    """
    links = ''.join(f'<a href="#{_anchor(name)}">{escape(name)}</a>' for name, _ in sections)
    body = ''.join(f'<section id="{_anchor(name)}"><h2>{escape(name)}</h2>{content}</section>'
                   for name, content in sections)
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<title>{escape(title)}</title><style>{CSS}{css}</style></head><body>'
            f'<header><h1>{escape(title)}</h1>{lead}<nav>{links}</nav></header>'
            f'<main>{body}</main></body></html>\n')


def table(header: Sequence[str], rows: Iterable[Sequence[str]], css: str = '') -> str:
    """A table of ready HTML cells; the first cell of a row is its heading."""
    head = ''.join(f'<th scope="col">{cell}</th>' for cell in header)
    body = ''.join(
        '<tr>' + f'<th scope="row">{first}</th>' + ''.join(f'<td>{cell}</td>' for cell in rest)
        + '</tr>' for first, *rest in rows)
    return (f'<div class="scroll"><table class="{css}"><thead><tr>{head}</tr></thead>'
            f'<tbody>{body}</tbody></table></div>')


def figure(uri: str | None, caption: str, alt: str | None = None, css: str = '') -> str:
    """A picture with its caption.

    Args:
        uri (str, optional): Data URI of the picture; without one, "no image" stands in its place.
        caption (str): HTML.
        alt (str, optional): What the picture shows, plain text. Defaults to ``caption``.
        css (str): Class of the element. Defaults to ''.
    """
    alt = escape(caption if alt is None else alt)
    image = (f'<img src="{uri}" alt="{alt}">' if uri
             else '<span class="blank">no image</span>')
    return (f'<figure class="{css}">{image}'
            f'<figcaption>{caption}</figcaption></figure>')


def number(entry: dict, signed: bool = False) -> str:
    """A figure with its interval, as HTML."""
    if math.isnan(entry['value']):
        return '<span class="dim">undefined</span>'
    sign = '+' if signed else ''
    text = f'<b>{entry["value"]:{sign}.3f}</b>'
    if not math.isnan(entry['low']):
        low, high = (f'{entry[key]:{sign}.3f}' for key in ('low', 'high'))
        interval = '†' if entry['low'] == entry['high'] else f'{low} to {high}'
        text += f' <span class="ci">{interval}</span>'
    else:
        text += ' <span class="ci">no interval</span>'
    if 'sd_of_runs' in entry:
        text += f' <span class="ci">SD {entry["sd_of_runs"]:.3f}</span>'
    return text.replace('-', '−')


def svg_figure(svg: str, caption: str) -> str:
    """A plot with its caption, which is plain text."""
    return figure(data_uri(svg.encode(), 'image/svg+xml'), escape(caption), caption)


def picture_uri(image: np.ndarray, quality: int = 85) -> str:
    """A picture, (H, W, 3) RGB or (H, W), uint8, as the data URI of a JPEG."""
    image = image[..., ::-1] if image.ndim == 3 else image
    _, encoded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data_uri(encoded.tobytes(), 'image/jpeg')


def data_uri(data: bytes, mime: str) -> str:
    """Bytes as an address that holds them itself."""
    return f'data:{mime};base64,{base64.b64encode(data).decode()}'


def _anchor(name: str) -> str:
    return re.sub(r'\W+', '-', name.lower()).strip('-')
