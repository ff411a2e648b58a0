"""Find the configs that come with mmcovid, wherever it is installed."""

from pathlib import Path

PREFIX = 'mmcovid::'
_PACKAGE = Path(__file__).resolve().parents[1]


def config_root() -> Path:
    """The folder of the configs: in a wheel ``mmcovid/.mim/configs``, in a clone ``configs``."""
    for folder in (_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs'):
        if (folder / 'one_shot').is_dir():
            return folder
    raise FileNotFoundError(
        f'the configs of mmcovid are missing beside {_PACKAGE}: reinstall mmcovid from a wheel, '
        'or with "pip install -e ." from a complete clone'
    )


def config_path(name: str) -> str:
    """The path of a config of mmcovid.

    Args:
        name (str): Its path below ``configs``, such as
            ``'one_shot/one-shot_r18_fpn_lstm2_cncb.py'``, or its base name
            with or without ``.py``: base names are unique.

    Returns:
        str: The absolute path.

    Raises:
        FileNotFoundError: If there is no such config. The message lists those
            that there are.
    """
    root = config_root()
    name = name if name.endswith('.py') else f'{name}.py'
    path = root / name
    if path.is_file():
        return str(path)
    if '/' not in name:
        for path in root.rglob(name):
            return str(path)
    raise FileNotFoundError(f'mmcovid has no config {name!r}; it has: {", ".join(list_configs())}')


def list_configs() -> list[str]:
    """Paths below ``configs`` of all configs that can be trained."""
    root = config_root()
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob('*.py')
        if '_base_' not in path.parts
    )


def find_config(name: str) -> str:
    """The path of a config: ``name`` itself if that is a file, else that of :func:`config_path`.

    Raises:
        FileNotFoundError: If there is neither.
    """
    if Path(name).is_file():
        return name
    try:
        return config_path(name)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'there is no config {name}: give the path of a file, or the name of one of mmcovid '
            '("mmcovid config" lists them)'
        ) from error


def register_config_prefix() -> None:
    """Let a config anywhere say ``_base_ = 'mmcovid::one_shot/...'``.

    MMEngine's own ``package::path`` form would not do. It knows a fixed list
    of packages and looks in ``.mim`` only, which editable installs do not
    have; and it gives the inherited dicts the scope of the package, in which
    MMDetection's types, named without a prefix, cannot be found.
    """
    from mmengine.config.config import Config  # its package may not be complete yet

    stock = Config._get_cfg_path
    if stock.__module__ == __name__:  # it is there already
        return

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if cfg_path.startswith(PREFIX):
            return config_path(cfg_path[len(PREFIX) :]), None
        return stock(cfg_path, filename)

    Config._get_cfg_path = staticmethod(get_cfg_path)
