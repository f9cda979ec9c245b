"""Version of the package; downstream code compares it with mmdetection 2.x numbers."""

__version__ = '2.29.0'
short_version = __version__


def parse_version_info(version_str: str) -> tuple:
    """``'2.29.0'`` -> ``(2, 29, 0)``; a release candidate ``'2.29.0rc1'`` -> ``(2, 29, 0, 'rc1')``."""
    info = []
    for part in version_str.split('.'):
        number, mark, candidate = part.partition('rc')
        info.append(int(number))
        if mark:
            info.append(f'rc{candidate}')
    return tuple(info)


version_info = parse_version_info(__version__)
