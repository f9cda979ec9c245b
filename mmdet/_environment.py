"""Checks what the package stands on, before anything of it is used."""

import contextlib
import importlib
import io
import logging
import warnings
from importlib import metadata
from importlib.util import find_spec

MMCV_RANGE = ((1, 7, 0), (1, 8, 0))
INSTALL_MMCV = (
    "run: pip install 'setuptools<81' wheel && pip install --no-build-isolation mmcv==1.7.2 (with Python 3.13, in a "
    'checkout of mmdet: bash tools/misc/install_mmcv.sh python mmcv 1.7.2)'
)
INSTALL_MMCV_FULL = 'in a checkout of mmdet run: bash tools/misc/install_mmcv.sh python mmcv-full 1.7.2'


def is_compiled() -> bool:
    """Whether the installed mmcv has compiled operators (mmcv-full)."""
    return find_spec('mmcv._ext') is not None


def digit_version(version_str: str) -> list[int]:
    """Version text -> comparable list of ints; a release candidate sorts before its release.

    >>> digit_version('1.7.2') > digit_version('1.7.2rc1')
    True
    """
    digits = []
    for part in version_str.split('+')[0].split('.'):
        number, mark, candidate = part.partition('rc')
        if number.isdigit():
            # a candidate counts as one less, so that it sorts before the release itself
            digits += [int(number) - 1, int(candidate or 0)] if mark else [int(number)]
    return digits


def installed_distributions(names: tuple[str, ...] = ('mmcv', 'mmcv-full')) -> dict[str, str]:
    """Installed distributions among ``names`` and their versions."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def mmcv_problem(found: dict[str, str]) -> str | None:
    """One sentence that says what to run, or None where exactly one usable mmcv is installed."""
    if len(found) > 1:
        return (
            'both mmcv and mmcv-full are installed and overwrite each other; run: '
            f'pip uninstall -y mmcv mmcv-full, and install one of them again ({INSTALL_MMCV})'
        )
    if not found:
        return f'mmdet needs mmcv 1.7.x, which is not installed; {INSTALL_MMCV}'
    ((name, version),) = found.items()
    low, high = (list(bound) for bound in MMCV_RANGE)
    if not low <= digit_version(version) < high:
        return (
            f'mmdet needs mmcv 1.7.x, but {name} {version} is installed; run: '
            f'pip uninstall -y {name}, then {INSTALL_MMCV}'
        )
    return None


def require_mmcv() -> str:
    """Import mmcv and give its version.

    Raises:
        ImportError: mmcv is missing, outside 1.7.x, or installed as both distributions.
    """
    problem = mmcv_problem(installed_distributions())
    # mmcv imports torch's extension builder, which reports a missing CUDA runtime although nothing is to be built
    logging.getLogger('torch.utils.cpp_extension').setLevel(logging.ERROR)
    with contextlib.redirect_stderr(io.StringIO()):  # torch 2.1 prints it
        importlib.import_module('torch.utils.cpp_extension')
    # mmcv without compiled operators says so when its transformers are imported; mmdet.ops has its own of this one
    warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')
    with warnings.catch_warnings():
        # 1.7.x announces 2.0 at each import; it is the line that this package is written for
        warnings.filterwarnings('ignore', message='On January 1, 2023, MMCV')
        try:
            import mmcv
        except ImportError as error:
            raise ImportError(problem or f'mmcv cannot be imported ({error}); {INSTALL_MMCV}') from error
    # a source checkout on the path has no distribution; then the module's own number decides
    if problem and not installed_distributions():
        problem = mmcv_problem({'mmcv': mmcv.__version__})
    if problem:
        raise ImportError(problem)
    return mmcv.__version__
