"""Modules of the user: importing what ``custom_imports`` names, and finding classes that nobody has imported."""

import importlib
import importlib.util
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mmdet.utils.configs.config_error import ConfigImportError, ConfigTypeError, config_key

PACKAGE = Path(__file__).resolve().parents[2]

# top-level names of what `custom_imports` has named in this process
_named: set[str] = set()


def import_custom_modules(cfg: dict[str, Any]) -> None:
    """Import ``cfg['custom_imports']['imports']``, if there are any, and the package of ``plugin=True``.

    ``allow_failed_imports=True`` beside the first turns errors into warnings. The second is the folder ``plugin_dir``
    (such as ``'projects/my_plugin/'``), a package as seen from where python looks for modules.

    Raises:
        ConfigImportError: there is no such module.
        ConfigTypeError: ``custom_imports`` is no dict.
        ValueError: ``plugin=True`` without ``plugin_dir``.
    """
    if cfg.get('plugin'):
        if not cfg.get('plugin_dir'):
            raise ValueError("plugin=True: plugin_dir must name the package's folder, such as 'projects/my_plugin/'")
        name = '.'.join(Path(cfg['plugin_dir']).parts)
        _named.add(name.partition('.')[0])
        with config_key('plugin_dir'):
            import_custom_module(name)
    settings = cfg.get('custom_imports')
    if not settings:
        return
    with config_key('custom_imports'):
        if not isinstance(settings, dict):
            names = [settings] if isinstance(settings, str) else settings
            raise ConfigTypeError(f'expected a dict such as dict(imports={list(names)!r}), got {settings!r}')
        names = settings.get('imports') or []
        names = [names] if isinstance(names, str) else list(names)
        for name in names:
            _named.add(name.partition('.')[0])
            try:
                import_custom_module(name)
            except ImportError as error:
                if not settings.get('allow_failed_imports', False):
                    raise
                warnings.warn(f'custom_imports: {name} is left out: {error}', UserWarning, stacklevel=2)


def import_custom_module(name: str) -> None:
    """Import one module.

    Raises:
        ConfigImportError: there is no such module. Errors of a module that is there come as they are.
    """
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + '.')):
            raise  # the module is there, and imports what is not
        top = name.partition('.')[0]
        if error.name == top:
            cure = f'the folder that holds {top!r} must be on PYTHONPATH, where python looks for modules'
        else:
            cure = f'{error.name.rpartition(".")[0]!r} is there and has no {error.name.rpartition(".")[2]!r}'
        raise ConfigImportError(f'there is no module {name!r}; {cure}') from None


def source_folders(registered: Iterable[Any]) -> dict[str, Path]:
    """Top-level names and places of packages and modules in which components may stand: this one's and the user's.

    Args:
        registered: classes and functions of a registry; what is neither from here nor from mmcv is the user's.
    """
    tops = {getattr(entry, '__module__', '').partition('.')[0] for entry in registered} | _named
    places = {}
    for top in tops - {'', 'mmcv', 'torch', 'torchvision', 'builtins', '__main__', PACKAGE.name}:
        spec = importlib.util.find_spec(top) if top not in sys.modules else sys.modules[top].__spec__
        if spec is not None and spec.origin not in (None, 'built-in', 'frozen'):
            places[top] = Path(spec.origin)
        elif spec is not None and spec.submodule_search_locations:  # a folder without __init__.py
            places[top] = Path(next(iter(spec.submodule_search_locations)), '__init__.py')
    return {PACKAGE.name: PACKAGE / '__init__.py', **places}


def files_with_class(name: str, places: dict[str, Path]) -> dict[str, Path]:
    """Modules, by their dotted names, that define or register a class of that name.

    Args:
        name: of a class, or the one that it is registered under.
        places: see :func:`source_folders`; a package is searched with its sub-packages, a lone module with its
            neighbours.
    """
    word = re.escape(name)
    # a name in another class's body or a function is not what a config could mean
    pattern = re.compile(rf'^class {word}\b|register_module\(\s*(?:name\s*=\s*)?[\'"]{word}[\'"]', re.MULTILINE)
    found = {}
    for origin in places.values():
        is_package = origin.name == '__init__.py'
        root = origin.parent.parent if is_package else origin.parent
        for file in sorted(origin.parent.rglob('*.py') if is_package else origin.parent.glob('*.py')):
            if pattern.search(file.read_text(encoding='utf-8', errors='ignore')):
                found['.'.join(_module_parts(file.relative_to(root)))] = file
    return found


def _module_parts(path: Path) -> Sequence[str]:
    parts = path.with_suffix('').parts
    return parts[:-1] if parts[-1] == '__init__' else parts


def where_it_stands(name: str, registered: Iterable[Any]) -> str | None:
    """A sentence on modules with a class of that name which is not registered, and what to do; None without any."""
    found = files_with_class(name, source_folders(registered))
    for module, file in found.items():
        if module not in sys.modules:
            remedy = f"custom_imports=dict(imports=['{module}'])"
            if file.is_relative_to(PACKAGE):
                inits = file.parent.relative_to(PACKAGE.parent) / '__init__.py'
                remedy += f' in the config, or a line in {inits.as_posix()}, imports it'
            else:
                remedy += ' in the config imports it'
            return f'There is a {name} in {file}, which is not imported: {remedy}.'
    for module in found:
        return f'{module} has a {name}, and is imported, but does not register it: it lacks @....register_module().'
    return None
