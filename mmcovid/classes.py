"""The classes of a model: their names, what readers call them, what they are, their colours.

One :class:`Classes` goes with every model, dump and report, so that nothing else has to know that
label 0 is the lung, or which colour is the consolidation's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

#: RGB, 0..255.
Color = tuple[int, int, int]

LESION_CLASSES = ('lung', 'ggo', 'consolidation')
IMAGE_CLASSES = ('normal', 'cp', 'covid19')

#: What a class is. Lesions lie in the lung; a slice without disease is normal.
LUNG, LESION, NORMAL, DISEASE = 'lung', 'lesion', 'normal', 'disease'
ROLES = (LUNG, LESION, NORMAL, DISEASE)

_DISPLAY_NAMES = {
    'lung': 'Lung',
    'ggo': 'GGO',
    'consolidation': 'Consolidation',
    'lesion': 'Lesion',
    'normal': 'Normal',
    'cp': 'Pneumonia (CP)',
    'covid19': 'COVID-19',
}
# sky blue, amber and magenta: apart from each other and from any grey, for colour-blind readers too
_COLORS = {
    'lung': (86, 180, 233),
    'ggo': (255, 176, 0),
    'consolidation': (230, 50, 150),
    'lesion': (255, 176, 0),
}
_OTHER_COLORS = ((0, 158, 115), (213, 94, 0), (204, 121, 167), (240, 228, 66), (0, 114, 178))


@dataclass(frozen=True)
class NamedClass:
    """One class."""

    name: str  #: as annotations, configs and files have it
    display_name: str  #: as pictures and pages have it
    role: str  #: one of :data:`ROLES`
    color: Color


@dataclass(frozen=True)
class Classes:
    """Lesion classes and image classes, each in the order of their labels.

    Args:
        lesions (tuple[NamedClass, ...]): Of instances; without any if a model does not segment.
        images (tuple[NamedClass, ...]): Of whole slices; without any if it does not classify.
    """

    lesions: tuple[NamedClass, ...]
    images: tuple[NamedClass, ...]

    @classmethod
    def of(
        cls,
        lesions: Sequence[str] = LESION_CLASSES,
        images: Sequence[str] = IMAGE_CLASSES,
        palette: Sequence[Color] | None = None,
        display_names: Mapping[str, str] | None = None,
        roles: Mapping[str, str] | None = None,
    ) -> 'Classes':
        """Classes by their names.

        Args:
            lesions (Sequence[str]): Names of the lesion classes. Defaults to lung, ggo and
                consolidation.
            images (Sequence[str]): Names of the image classes. Defaults to normal, cp and covid19.
            palette (Sequence[Color], optional): Colours of the lesion classes. Defaults to None,
                or if there are fewer than classes: colours of their own.
            display_names (Mapping[str, str], optional): What to call classes, of those that are
                to be called otherwise than usual. Defaults to None.
            roles (Mapping[str, str], optional): What classes are, see :data:`ROLES`. Defaults to
                None: ``lung`` is the lung and ``normal`` is normal.

        Raises:
            ValueError: A name occurs twice, or a role is none.
        """
        for names in (lesions, images):
            if len(set(names)) < len(names):
                raise ValueError(f'classes {list(names)}: a name occurs twice')
        display, roles = {**_DISPLAY_NAMES, **(display_names or {})}, roles or {}
        wrong = [role for role in roles.values() if role not in ROLES]
        if wrong:
            raise ValueError(f'the role {wrong[0]!r} of a class is none of {", ".join(ROLES)}')
        colors = list(palette or ())
        if len(colors) < len(lesions):
            colors = [_color(name, k) for k, name in enumerate(lesions)]
        return cls(
            tuple(
                NamedClass(
                    name,
                    display.get(name, name),
                    roles.get(name, LUNG if name == 'lung' else LESION),
                    as_color(color),
                )
                for name, color in zip(lesions, colors)
            ),
            tuple(
                NamedClass(
                    name,
                    display.get(name, name),
                    roles.get(name, NORMAL if name == 'normal' else DISEASE),
                    _OTHER_COLORS[k % len(_OTHER_COLORS)],
                )
                for k, name in enumerate(images)
            ),
        )

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any] | None) -> 'Classes':
        """Classes of a data set or model, from its metainfo.

        Args:
            meta (Mapping, optional): With ``classes`` (of lesions), ``palette``,
                ``image_classes``, ``display_names`` and ``roles``; what is missing is as in
                :meth:`of`.
        """
        meta = meta or {}
        lesions = meta.get('classes')
        images = meta.get('image_classes')
        palette = meta.get('palette')
        return cls.of(
            LESION_CLASSES if lesions is None else tuple(lesions),
            IMAGE_CLASSES if images is None else tuple(images),
            None if isinstance(palette, str) else palette,
            meta.get('display_names'),
            meta.get('roles'),
        )

    def to_meta(self) -> dict[str, Any]:
        """Plain values from which :meth:`from_meta` makes the same classes."""
        both = (*self.lesions, *self.images)
        return dict(
            classes=self.lesion_names,
            palette=self.palette,
            image_classes=self.image_names,
            display_names={each.name: each.display_name for each in both},
            roles={each.name: each.role for each in both},
        )

    @property
    def lesion_names(self) -> tuple[str, ...]:
        """Names of the lesion classes."""
        return tuple(each.name for each in self.lesions)

    @property
    def image_names(self) -> tuple[str, ...]:
        """Names of the image classes."""
        return tuple(each.name for each in self.images)

    @property
    def palette(self) -> list[Color]:
        """Colours of the lesion classes, RGB; a list, as one tuple is one colour to MMDetection."""
        return [each.color for each in self.lesions]

    @property
    def lung(self) -> str | None:
        """Name of the lesion class that the others lie in, if there is one."""
        return next((each.name for each in self.lesions if each.role == LUNG), None)

    @property
    def normal(self) -> str | None:
        """Name of the image class without disease, if there is one."""
        return next((each.name for each in self.images if each.role == NORMAL), None)

    @property
    def normal_label(self) -> int | None:
        """Label of the image class without disease, if there is one."""
        return None if self.normal is None else self.image_names.index(self.normal)

    def display(self, name: str) -> str:
        """What readers call a class; a name that is no class stays as it is."""
        return next(
            (each.display_name for each in (*self.lesions, *self.images) if each.name == name), name
        )

    def is_lung(self, label: int) -> bool:
        """Whether a label of a lesion is that of the lung."""
        return label < len(self.lesions) and self.lesions[label].role == LUNG


def as_color(values: Iterable[int]) -> Color:
    """Red, green and blue, such as of a list, as a colour.

    Raises:
        ValueError: They are no whole numbers from 0 to 255.
    """
    color = tuple(values)
    if len(color) != 3 or not all(
        isinstance(each, Integral) and 0 <= each <= 255 for each in color
    ):
        raise ValueError(f'the colour {color} is not of three whole numbers from 0 to 255')
    red, green, blue = map(int, color)
    return red, green, blue


def with_palette(metainfo: Mapping[str, Any] | None) -> dict[str, Any]:
    """Metainfo with a colour for each of its lesion classes, if it names the classes only.

    Without it a set of fewer classes would keep the colours of the first of the usual ones.
    """
    metainfo = dict(metainfo or {})
    if 'classes' in metainfo and 'palette' not in metainfo:
        metainfo['palette'] = Classes.of(tuple(metainfo['classes'])).palette
    return metainfo


def _color(name: str, label: int) -> Color:
    return _COLORS.get(name, _OTHER_COLORS[label % len(_OTHER_COLORS)])


#: The classes of the paper.
DEFAULT = Classes.of()
