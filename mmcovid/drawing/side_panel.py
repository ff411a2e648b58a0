from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .slices import Color

BACKGROUND: Color = (18, 20, 24)
TEXT: Color = (232, 234, 238)
DIM: Color = (146, 152, 162)
LINE: Color = (60, 64, 72)


@lru_cache(maxsize=32)
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib, ``size`` pixels high."""
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), 'fonts', 'ttf', name)), size)


class SidePanel:
    """A column of text, bars and swatches, filled from top to bottom.

    It stands beside the slice, so that no text ever covers a lung or a lesion.

    Args:
        size (int): Height of the text in pixels; everything else goes with it.
        min_height (int): Least height of the panel in pixels. Defaults to 0.
    """

    #: Width in text heights.
    WIDTH = 21
    _MAX_HEIGHT = 90

    def __init__(self, size: int, min_height: int = 0) -> None:
        self.size = size
        self.width = self.WIDTH * size
        self._min_height = min_height
        self._image = Image.new(
            'RGB', (self.width, max(min_height, self._MAX_HEIGHT * size)), BACKGROUND
        )
        self._draw = ImageDraw.Draw(self._image)
        self._left, self._right = size, self.width - size
        self._y = 0.75 * size

    def picture(self) -> np.ndarray:
        """The panel, cut below its last line but not under its least height, (H, W, 3), RGB."""
        height = max(self._min_height, round(self._y))
        return np.asarray(self._image)[:height]

    def text(
        self,
        text: str,
        right: str = '',
        color: Color = TEXT,
        bold: bool = False,
        scale: float = 1.0,
        right_color: Color | None = None,
    ) -> None:
        """A line of text.

        Args:
            text (str): At the left, shortened in the middle if it is too long.
            right (str): At the right. Defaults to ''.
            color (tuple[int, int, int]): RGB. Defaults to near white.
            bold (bool): Defaults to False.
            scale (float): Size relative to the panel's text. Defaults to 1.
            right_color (tuple[int, int, int], optional): RGB of ``right``. Defaults to None:
                as ``color``.
        """
        used = font(round(self.size * scale), bold)
        room: float = self._right - self._left
        if right:
            self._put(self._right, right, right_color or color, used, 'r')
            room -= used.getlength(right) + self.size
        self._put(self._left, shorten(text, used, room), color, used)
        self._y += 1.5 * self.size * scale

    def rule(self) -> None:
        """A thin line between two sections."""
        self._y += 0.4 * self.size
        y = round(self._y)
        self._draw.line([(self._left, y), (self._right, y)], fill=LINE, width=1)
        self._y += 0.7 * self.size

    def bar(self, name: str, share: float, value: str, color: Color) -> None:
        """A named horizontal bar.

        Args:
            name (str): At the left.
            share (float): Filled part, 0..1.
            value (str): At the right.
            color (tuple[int, int, int]): RGB of the bar and the texts.
        """
        used = font(round(self.size * 0.95))
        self._put(self._right, value, color, used, 'r')
        left, right = self._left + 9.8 * self.size, self._right - 3.4 * self.size
        self._put(self._left, shorten(name, used, left - self._left - 4), color, used)
        top, bottom = self._y + 0.2 * self.size, self._y + 0.9 * self.size
        self._draw.rectangle([left, top, right, bottom], fill=LINE)
        if share > 0:
            filled = left + (right - left) * min(share, 1)
            self._draw.rectangle([left, top, filled, bottom], fill=color)
        self._y += 1.5 * self.size

    def columns(
        self,
        name: str,
        cells: list[str],
        color: Color = TEXT,
        swatch: Color | None = None,
        filled: bool = True,
        cell_colors: list[Color] | None = None,
        cell_width: float = 3.7,
    ) -> None:
        """A row of a table: a swatch, a name and right-aligned cells.

        Args:
            name (str): At the left.
            cells (list[str]): From left to right.
            color (tuple[int, int, int]): RGB of the texts. Defaults to near white.
            swatch (tuple[int, int, int], optional): RGB of a square before the name.
            filled (bool): Whether the square is filled, or an outline. Defaults to True.
            cell_colors (list[tuple[int, int, int]], optional): RGB of each cell. Defaults to
                None: as ``color``.
            cell_width (float): Of each cell, in text heights. Defaults to 3.7.
        """
        used, cell_width = font(round(self.size * 0.95)), cell_width * self.size
        cell_colors = cell_colors or [color] * len(cells)
        side = 0.95 * self.size
        if swatch is not None:
            self._draw.rectangle(
                [self._left, self._y + 1, self._left + side, self._y + 1 + side],
                outline=swatch,
                width=max(2, self.size // 8),
                fill=tuple(value * 6 // 10 for value in swatch) if filled else None,
            )
        left = self._left + 1.6 * self.size
        for i, cell in enumerate(reversed(cells), 1):
            self._put(self._right - cell_width * (i - 1), cell, cell_colors[-i], used, 'r')
        room = self._right - cell_width * len(cells) - left + 0.4 * self.size
        self._put(left, shorten(name, used, room), color, used)
        self._y += 1.55 * self.size

    def color_bar(self, colors: list[Color], low: str, high: str, name: str = '') -> None:
        """A strip of colours with the values of its two ends, and its name, below."""
        top, bottom = self._y + 0.2 * self.size, self._y + 1.0 * self.size
        edges = np.linspace(self._left, self._right, len(colors) + 1)
        for left, right, color in zip(edges[:-1], edges[1:], colors):
            self._draw.rectangle([left, top, right, bottom], fill=color)
        self._y += 1.25 * self.size
        used = font(round(0.9 * self.size))
        self._put((self._left + self._right) / 2, name, DIM, used, 'm')
        self.text(low, right=high, color=DIM, scale=0.9)

    def _put(
        self, x: float, text: str, color: Color, used: ImageFont.FreeTypeFont, align: str = 'l'
    ) -> None:
        """Write at ``x``, its left end, middle or right end, on the current line."""
        self._draw.text((x, self._y), text, fill=color, font=used, anchor=f'{align}a')


def caption_strip(text: str, width: int, size: int) -> np.ndarray:
    """A strip to stand above a slice, (1.9 size, width, 3), RGB."""
    image = Image.new('RGB', (width, round(1.9 * size)), BACKGROUND)
    used = font(size, bold=True)
    ImageDraw.Draw(image).text(
        (width / 2, 0.95 * size), shorten(text, used, width), fill=TEXT, font=used, anchor='mm'
    )
    return np.asarray(image)


def shorten(text: str, used: ImageFont.FreeTypeFont, room: float) -> str:
    """``text`` with its middle left out, so that it is at most ``room`` pixels wide."""
    if used.getlength(text) <= room:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = f'{text[: (kept + 1) // 2]}…{text[-(kept // 2) :]}'
        if used.getlength(short) <= room:
            return short
    return ''
