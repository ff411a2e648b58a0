"""Draw the data flow of the one-shot model: python docs/draw_data_flow.py

Writes docs/en/figures/data_flow.svg. The picture has a background of its own,
so that it reads the same on a light and on a dark page.
"""

from pathlib import Path
from xml.sax.saxutils import escape

OUT = Path(__file__).parent / 'en' / 'figures' / 'data_flow.svg'

BOX_W, BOX_H, GAP = 168, 92, 28
LEFT, TOP, ROW_STEP = 72, 92, 158
WIDTH, HEIGHT = LEFT + 6 * BOX_W + 5 * GAP + 206, TOP + 3 * ROW_STEP + BOX_H + 28

INK, DIM, LINE, PAPER = '#1f2430', '#5a6272', '#4a5160', '#fbfbf9'
#: Fill and border by what trains a part.
COLORS = {
    'data': ('#ffffff', '#9aa1ad'),
    'both': ('#fbe9c6', '#c98a1b'),
    'seg': ('#e6dcf7', '#7a4fc0'),
    'cls': ('#d5efdc', '#2c8a4f'),
    'copy': ('#f0f2f4', '#2c8a4f'),
}

#: Rows of (kind, title, lines below it).
ROWS = [
    [
        ('data', 'Slices', ['B × 3 × 512 × 512', 'seg: with lesion masks', 'cls: with a class']),
        ('data', 'Standardise', ['each slice and channel', '(x − mean) / std']),
        ('both', 'Backbone', ['ResNet or ResNeXt,', 'last stage only', '512 or 2048 × 16 × 16']),
        ('both', 'FPN, one level', ['1×1 and 3×3', '256 × 16 × 16']),
        ('seg', 'RPN', ['30 anchors a cell', '400 best, NMS 0.75']),
        ('data', 'Proposals', ['at most 200 boxes']),
    ],
    [
        ('data', 'RoIAlign 7 × 7', ['n × 256 × 7 × 7']),
        ('seg', 'Box head', ['FC 12544 → 128 → 128', 'classes and deltas']),
        (
            'data',
            'Lesion boxes',
            ['training: 256 sampled', 'test: score > 0.05,', 'NMS 0.5, 128 best'],
        ),
        ('data', 'RoIAlign 14 × 14', ['n × 256 × 14 × 14']),
        ('seg', 'Mask head', ['conv 3×3, deconv 2×2,', 'logits 1×1']),
        ('data', 'Lesion masks', ['n × 3 × 28 × 28']),
    ],
    [
        ('data', 'RoIAlign 7 × 7', ['200 × 256 × 7 × 7']),
        ('copy', 'Box head', ['frozen copy']),
        (
            'data',
            'RoI sequence',
            ['200 × 3 boxes, NMS 0.25,', 'β = 16 best by score,', 'nearest to the origin first'],
        ),
        ('data', 'RoIAlign 14 × 14', ['16 × 256 × 14 × 14']),
        ('copy', 'Mask head', ['frozen copy; conv 3×3', 'in place of the logits']),
        ('data', 'Mask features', ['16 × 256 × 28 × 28']),
    ],
    [
        ('cls', 'Refinement', ['N = 1 stage', '28 → 14 → 28']),
        ('cls', 'Vectorisation', ['28 → 14 → 7 → 1']),
        ('data', 'Matrix X', ['β × C = 16 × 256']),
        ('cls', 'Attention', ['over RoIs (Eq. 1–8), or', 'one or two LSTM branches', '(Eq. 9–17)']),
        ('cls', 'Classifiers', ['FC 256 → 128 → 128 → 3', 'one for each branch']),
        ('data', 'Image logits', ['3; of two branches', 'relevant − irrelevant']),
    ],
]
ROW_NAMES = ['Shared', 'Segmentation branch', 'Classification branch', 'Attention head']
LEGEND = [
    ('both', 'trained by both losses'),
    ('seg', 'by the detection losses'),
    ('cls', 'by the image loss'),
    ('copy', 'by none: copied, frozen'),
    ('data', 'nothing to train'),
]


def column_x(column: int) -> float:
    return LEFT + column * (BOX_W + GAP)


def row_y(row: int) -> float:
    return TOP + row * ROW_STEP


def text(
    x: float,
    y: float,
    content: str,
    size: float = 13,
    color: str = INK,
    anchor: str = 'middle',
    weight: str = 'normal',
) -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{color}" '
        f'text-anchor="{anchor}" font-weight="{weight}">{escape(content)}</text>'
    )


def frame(x: float, y: float, width: float, height: float, kind: str, radius: float = 9) -> str:
    fill, border = COLORS[kind]
    dash = ' stroke-dasharray="6 4"' if kind == 'copy' else ''
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" '
        f'fill="{fill}" stroke="{border}" stroke-width="1.6"{dash}/>'
    )


def box(column: int, row: int, kind: str, title: str, lines: list[str]) -> str:
    x, y = column_x(column), row_y(row)
    first = y + BOX_H / 2 - 8.5 * len(lines) + 5
    parts = [frame(x, y, BOX_W, BOX_H, kind), text(x + BOX_W / 2, first, title, 15, weight='bold')]
    parts += [
        text(x + BOX_W / 2, first + 19 + 16.5 * i, line, 12, DIM) for i, line in enumerate(lines)
    ]
    return ''.join(parts)


def path(
    points: list[tuple[float, float]], color: str = LINE, dashed: bool = False, head: bool = True
) -> str:
    route = ' '.join(f'{"L" if i else "M"}{x:g} {y:g}' for i, (x, y) in enumerate(points))
    dash = ' stroke-dasharray="5 4"' if dashed else ''
    marker = f' marker-end="url(#{"copy" if color != LINE else "flow"})"' if head else ''
    return (
        f'<path d="{route}" fill="none" stroke="{color}" stroke-width="1.7" '
        f'stroke-linejoin="round"{dash}{marker}/>'
    )


def marker(name: str, color: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="{color}"/></marker>'
    )


def loss(row: int, kind: str, title: str, lines: list[str]) -> str:
    """A loss at the right end of a row."""
    x, y = column_x(6), row_y(row)
    fill, border = COLORS[kind]
    parts = [
        path([(column_x(5) + BOX_W, y + BOX_H / 2), (x - 2, y + BOX_H / 2)]),
        f'<rect x="{x:g}" y="{y + 12:g}" width="152" height="{BOX_H - 24}" rx="34" '
        f'fill="{border}"/>',
        text(x + 76, y + 42 - 5 * (len(lines) - 1), title, 14, '#ffffff', weight='bold'),
    ]
    parts += [
        text(x + 76, y + 60 + 15 * i - 5 * (len(lines) - 1), line, 12, '#ffffff')
        for i, line in enumerate(lines)
    ]
    return ''.join(parts)


def arrows() -> list[str]:
    middle = BOX_H / 2
    parts = [
        path(
            [
                (column_x(column) + BOX_W, row_y(row) + middle),
                (column_x(column + 1) - 2, row_y(row) + middle),
            ]
        )
        for row in range(4)
        for column in range(5)
    ]
    # proposals and feature map to both branches, around the left side
    end, lane = column_x(5) + BOX_W / 2, row_y(1) - 33
    left = LEFT - 30
    parts.append(
        path(
            [
                (end, row_y(0) + BOX_H),
                (end, lane),
                (left, lane),
                (left, row_y(2) + middle),
                (LEFT - 2, row_y(2) + middle),
            ]
        )
    )
    parts.append(path([(left, row_y(1) + middle), (LEFT - 2, row_y(1) + middle)]))
    feature = column_x(3) + BOX_W / 2
    parts.append(path([(feature, row_y(0) + BOX_H), (feature, lane)], head=False))
    parts.append(
        text(LEFT, lane - 7, 'feature map and proposals, to every RoIAlign', 12, DIM, 'start')
    )
    # mask features to the attention head
    lane = row_y(3) - 33
    parts.append(
        path(
            [
                (end, row_y(2) + BOX_H),
                (end, lane),
                (left, lane),
                (left, row_y(3) + middle),
                (LEFT - 2, row_y(3) + middle),
            ]
        )
    )
    # the copies
    green = COLORS['copy'][1]
    for column in (1, 4):
        x = column_x(column) + BOX_W / 2
        parts.append(path([(x, row_y(1) + BOX_H), (x, row_y(2) - 2)], green, dashed=True))
        parts.append(text(x + 9, row_y(2) - 42, 'copied when the', 12, green, 'start'))
        parts.append(text(x + 9, row_y(2) - 27, 'detection loss fell', 12, green, 'start'))
    return parts


def legend() -> list[str]:
    parts, x = [], LEFT
    parts.append(text(x, 38, 'Colour: what trains a part', 13, INK, 'start', 'bold'))
    x += 222
    for kind, label in LEGEND:
        parts += [frame(x, 26, 22, 15, kind, 4), text(x + 29, 38, label, 13, DIM, 'start')]
        x += 54 + 7 * len(label)
    return parts


def row_names() -> list[str]:
    y = [row_y(row) - 12 for row in range(4)]
    return [
        text(LEFT, y[row], name, 13, DIM, 'start', 'bold') for row, name in enumerate(ROW_NAMES)
    ]


def main() -> None:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" '
        'font-family="Helvetica, Arial, \'DejaVu Sans\', sans-serif">',
        '<title>Data flow of the one-shot model</title>',
        f'<defs>{marker("flow", LINE)}{marker("copy", COLORS["copy"][1])}</defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="14" fill="{PAPER}"/>',
        *legend(),
        *row_names(),
        *arrows(),
        *(box(c, r, *cell) for r, row in enumerate(ROWS) for c, cell in enumerate(row)),
        loss(1, 'seg', 'Detection losses', ['of RPN, boxes', 'and masks']),
        loss(3, 'cls', 'Image loss', ['binary', 'cross-entropy']),
        '</svg>',
    ]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text('\n'.join(parts) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
