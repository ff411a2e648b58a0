"""ImageNet weights by their ``torchvision://`` name, without torchvision.

MMEngine imports torchvision to look up the URL of such a name, though it has
the URLs itself. Where torchvision is missing, its list is used directly.
"""

from importlib.util import find_spec
from pathlib import Path

import mmengine
from mmengine.runner.checkpoint import CheckpointLoader, load_from_http

PREFIX = 'torchvision://'


def load_by_torchvision_name(filename: str, map_location: str | None = None) -> dict:
    """Load the weights that torchvision knows by a name.

    Args:
        filename (str): Such as ``'torchvision://resnet18'``.
        map_location (str, optional): As in :func:`torch.load`.

    Returns:
        dict: The state dict.

    Raises:
        ValueError: If there are no weights of this name.
    """
    urls = mmengine.load(Path(mmengine.__file__).parent / 'hub' / 'torchvision_0.12.json')
    name = filename.removeprefix(PREFIX)
    if name not in urls:
        known = ', '.join(sorted(urls))
        raise ValueError(f'no weights are known as {filename}; there are: {known}')
    return load_from_http(urls[name], map_location)


if find_spec('torchvision') is None:
    CheckpointLoader.register_scheme(PREFIX, load_by_torchvision_name, force=True)
