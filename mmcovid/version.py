__version__ = '0.1.0'


def parse_version_info(version: str) -> tuple:
    """Turn ``'0.1.0'`` into ``(0, 1, 0)``."""
    return tuple(int(part) for part in version.split('.'))


version_info = parse_version_info(__version__)
