"""What is wrong with annotations, before anything is trained on them; no image is decoded."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmcovid.ct import check_size

from .lesion_lists import patient_of
from .slice_lists import SliceEntry
from .slice_names import UNKNOWN

#: Pixels by which a box or an outline may leave its image: some tools count from 1.
_ROUNDING = 1
#: What a problem of annotations can be, and what it means. Warnings spoil no run.
ANNOTATION_ERRORS = {
    'no slices': 'the annotations name no slice',
    'no lesions': 'no lesion is annotated in any slice',
    'bad entry': 'an entry lacks something, or names what is not there',
    'box outside': 'a box is empty, or reaches out of its image',
    'no mask': 'a lesion has a box and no mask',
    'wrong mask size': 'the mask is not of the size of its image',
}
ANNOTATION_WARNINGS = {
    'absent class': 'a class that no slice or lesion has, and that no model can learn from the set',
    'one patient': 'all slices are of one patient',
}


class AnnotationProblem(NamedTuple):
    """One thing that is the matter with annotations."""

    name: str  #: of the slice, or '' for the set itself
    problem: str  #: key of :data:`ANNOTATION_ERRORS` or :data:`ANNOTATION_WARNINGS`
    detail: str

    def __str__(self) -> str:
        return f'{self.name}: {self.detail}' if self.name else self.detail


def read_json_object(file: str | Path) -> dict[str, Any]:
    """Content of a JSON file.

    Raises:
        ValueError: It is no JSON object.
    """
    try:
        content = json.loads(Path(file).read_text(encoding='utf-8'))
        if not isinstance(content, dict):
            raise ValueError('no object')
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f'{file}: not JSON of a set ({error}). Copy or convert it again.'
        ) from error
    return content


def check_lesions(content: Mapping[str, Any]) -> list[AnnotationProblem]:
    """Look for what is wrong with lesions in COCO's format.

    Args:
        content (Mapping): Of the JSON.

    Returns:
        list[AnnotationProblem]: In the order of the file. After entries that cannot be read nothing
        else is looked for.
    """
    try:
        images = {each['id']: each for each in content['images']}
        names = {each['id']: each['name'] for each in content['categories']}
        problems = [
            problem
            for index, each in enumerate(content['images'])
            for problem in _check_image(each, index)
        ]
        if len(images) < len(content['images']):
            problems.append(_bad('several images have one id'))
        if problems:
            return problems
        for index, each in enumerate(content['annotations']):
            problems += _check_lesion(each, index, images, names)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [_bad(f'{type(error).__name__}: {error}')]
    if not images:
        return [AnnotationProblem('', 'no slices', 'names no slice')]
    if problems:
        return problems
    if not content['annotations']:
        return [AnnotationProblem('', 'no lesions', f'annotates no lesion in {len(images)} slices')]
    found = Counter(names[each['category_id']] for each in content['annotations'])
    return _warn_of(found, names.values(), map(patient_of, content['images']))


def check_slices(entries: Sequence[SliceEntry], classes: Sequence[str]) -> list[AnnotationProblem]:
    """Look for what is odd about slices with classes; each line was checked when it was read."""
    found = Counter(classes[each.label] for each in entries)
    return _warn_of(found, classes, [each.patient for each in entries])


def _warn_of(
    found: Mapping[str, int], classes: Iterable[str], patients: Iterable[str]
) -> list[AnnotationProblem]:
    """What may be meant so, and spoils a training or its evaluation if it is not.

    Args:
        found (Mapping[str, int]): Slices or lesions of each class.
        classes (Iterable[str]): All classes.
        patients (Iterable[str]): Of each slice.
    """
    problems = [
        AnnotationProblem('', 'absent class', f'has nothing of the class {name}')
        for name in classes
        if not found.get(name)
    ]
    different = set(patients)
    if len(different) == 1 and UNKNOWN not in different:
        problems.append(
            AnnotationProblem('', 'one patient', f'has slices of patient {different.pop()} only')
        )
    return problems


def _check_image(image: Mapping[str, Any], index: int) -> list[AnnotationProblem]:
    name, width, height = (image.get(key) for key in ('file_name', 'width', 'height'))
    if not (isinstance(name, str) and isinstance(width, int) and isinstance(height, int)):
        return [_bad(f'image {index} (id {image["id"]}) has no file_name, or no width and height')]
    check_size(name, height, width)  # masks are decoded to it
    return []


def _check_lesion(
    lesion: Mapping[str, Any], index: int, images: Mapping, names: Mapping
) -> list[AnnotationProblem]:
    """What is wrong with one annotation."""
    image = images.get(lesion.get('image_id'))
    number = f'annotation {lesion.get("id", f"no. {index}")}'
    if image is None or lesion.get('category_id') not in names:
        return [
            _bad(
                f'{number} is of image {lesion.get("image_id")} and category '
                f'{lesion.get("category_id")}, which are not both there'
            )
        ]
    width, height = image['width'], image['height']

    def problem(kind: str, detail: str) -> AnnotationProblem:
        return AnnotationProblem(image['file_name'], kind, f'{number} {detail}')

    if not _is_finite(lesion.get('bbox'), 4) or not _is_finite([lesion.get('area')], 1):
        return [_bad(f'{number} of {image["file_name"]} has no bbox of four numbers, or no area')]
    left, top, box_width, box_height = lesion['bbox']
    problems = []
    if (
        min(left, top) < -_ROUNDING
        or min(box_width, box_height) <= 0
        or left + box_width > width + _ROUNDING
        or top + box_height > height + _ROUNDING
    ):
        box = f'the box {lesion["bbox"]} (x, y, width, height)'
        problems.append(
            problem('box outside', f'has {box}, not within the image of {width}x{height}')
        )
    mask = lesion.get('segmentation')
    if not mask:
        problems.append(problem('no mask', 'has no mask (`segmentation`)'))
    elif isinstance(mask, Mapping):
        if list(mask.get('size') or ()) != [height, width]:
            size = f'{mask.get("size")} (height, width)'
            problems.append(
                problem('wrong mask size', f'has a mask of {size}, the image is {width}x{height}')
            )
        elif not _is_run_length_code(mask.get('counts'), width * height):
            problems.append(problem('no mask', 'has a mask whose `counts` cannot be decoded'))
    elif not all(_is_outline(points) for points in mask):
        problems.append(problem('no mask', 'has outlines of fewer than three points'))
    elif not all(
        -_ROUNDING <= value <= (width, height)[place % 2] + _ROUNDING
        for points in mask
        for place, value in enumerate(points)
    ):
        problems.append(
            problem('wrong mask size', f'has an outline that leaves the image of {width}x{height}')
        )
    return problems


def _bad(detail: str) -> AnnotationProblem:
    return AnnotationProblem('', 'bad entry', detail)


def _is_finite(values: Any, number: int) -> bool:
    """Whether these are so many finite numbers."""
    return (
        isinstance(values, list)
        and len(values) == number
        and all(isinstance(each, (int, float)) and math.isfinite(each) for each in values)
    )


def _is_run_length_code(counts: Any, size: int) -> bool:
    """Whether runs in COCO's code, a list or a string, make up so many pixels.

    pycocotools decodes others to whatever is in memory, or not at all.
    """
    if isinstance(counts, str):
        counts = _decode_runs(counts)
    return (
        isinstance(counts, list)
        and all(isinstance(each, int) and each >= 0 for each in counts)
        and sum(counts) == size
    )


def _decode_runs(code: str) -> list[int]:
    """Lengths of runs: 5 bits in each character, from 48 on, and then the sign.

    From the fourth on, a number is the difference to the last but one.
    """
    runs: list[int] = []
    value = shift = 0
    for character in code:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the last character of a number
            value -= (bits & 16) >> 4 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def _is_outline(points: Sequence) -> bool:
    return len(points) >= 6 and len(points) % 2 == 0 and _is_finite(points, len(points))
