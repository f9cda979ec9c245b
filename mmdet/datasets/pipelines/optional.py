"""Packages that only some steps need."""

import importlib
from types import ModuleType


def require(package: str, step: str, install: str | None = None) -> ModuleType:
    """The package, imported at its first use.

    Args:
        package: name to import.
        step: the step that needs it.
        install: name to install, where it is another.

    Raises:
        ImportError: it is not there; says what to run.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(f'{step} needs {package}: run `pip install {install or package}` ({error})') from error
