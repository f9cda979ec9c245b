"""Where the folders beside the package lie: ``configs``, ``tools`` and ``demo`` of a checkout, or those in a wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# a wheel carries them inside the package, at the place where wheels of mmdetection 2.x have them
IN_WHEEL = PACKAGE / '.mim'


def shipped_folder(name: str) -> Path:
    """The folder ``'configs'``, ``'tools'`` or ``'demo'``.

    Raises:
        FileNotFoundError: the package was installed without it.
    """
    for place in (IN_WHEEL / name, PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f'this installation of mmdet has no {name}: neither {IN_WHEEL} nor {PACKAGE.parent} holds it'
    )
