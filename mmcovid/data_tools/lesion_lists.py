"""Images of lesion annotations in COCO's format."""

import os
from collections.abc import Mapping

from .slice_names import UNKNOWN


def patient_of(image: Mapping) -> str:
    """Its ``patient_id``, else its folder, else its file name before the first ``_``."""
    if 'patient_id' in image:
        return str(image['patient_id'])
    folder, name = os.path.split(image['file_name'])
    if folder:
        return os.path.basename(folder)
    return name.split('_', 1)[0] if '_' in name else UNKNOWN


def list_images(content: Mapping, file: str) -> list[tuple[str, str]]:
    """Name and patient of each image of a COCO JSON.

    Raises:
        ValueError: It does not list its images.
    """
    try:
        return [(each['file_name'], patient_of(each)) for each in content['images']]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f'{file}: no list of images ({type(error).__name__}: {error}). Convert the set again.'
        ) from error
