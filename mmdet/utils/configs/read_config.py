"""Config files, with errors of one line that names the file."""

import ast
import contextlib
import json
import os
import re
import tempfile
import traceback
from pathlib import Path
from typing import Any

import yaml
from mmcv import Config

from mmdet.utils.configs.base_references import BASE_KEY, REFERENCE, base_files, reference_problem, references
from mmdet.utils.errors import CALLS, ReportedError
from mmdet.utils.registry import did_you_mean

SUFFIXES = ('.py', '.yaml', '.yml', '.json')


class ConfigFileError(ReportedError, ValueError):
    """A config file, or one that it is based on, cannot be read or run."""


def read_config(path: str | os.PathLike[str]) -> Config:
    """The config in a file, without importing its ``custom_imports``.

    Raises:
        ConfigFileError: the file is no config; it, or one that it is based on, has a syntax error, fails while it runs
            or uses a value of its base where there is none yet; the two do not fit.
    """
    _check_file(Path(path), ())
    try:
        return Config.fromfile(os.fspath(path), import_custom_modules=False)
    except Exception as error:
        raise ConfigFileError(_reason(path, error)) from error


def _check_file(path: Path, above: tuple[Path, ...]) -> None:
    """Look at a file and its bases before mmcv does, which works on copies whose names say nothing.

    Args:
        path: of the file.
        above: files that are based on it, the outermost first.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigFileError(
            f'{path} is no config, which ends in {", ".join(SUFFIXES)}; are the arguments in another order?'
        )
    try:
        text = path.read_text(encoding='utf-8')
        if path.suffix == '.py':
            tree = ast.parse(text, 'the file')
            bases, problem = base_files(tree), reference_problem(tree, text)
        else:
            text, problem = REFERENCE.sub('"reference"', text), None
            content = json.loads(text) if path.suffix == '.json' else _top_of_yaml(text)
            bases = content.get(BASE_KEY) if isinstance(content, dict) else None
    except (SyntaxError, ValueError, yaml.YAMLError) as error:
        raise ConfigFileError(f'{path} cannot be read: {" ".join(str(error).split())}') from error
    if problem:
        raise ConfigFileError(f'{path}, {problem}')
    for base in [] if bases is None else bases if isinstance(bases, list | tuple) else [bases]:
        _check_file(_base_path(path, base, (*above, path)), (*above, path))


def _top_of_yaml(text: str) -> Any:
    """Top-level keys of a YAML file, with texts and lists of texts; values of other kinds are left to mmcv."""
    node = yaml.compose(text)
    if not isinstance(node, yaml.MappingNode):
        return None
    return {
        key.value: [v.value for v in value.value] if isinstance(value, yaml.SequenceNode) else value.value
        for key, value in node.value
    }


def _base_path(path: Path, base: Any, above: tuple[Path, ...]) -> Path:
    """Where a base of a file is."""
    if not isinstance(base, str):
        raise ConfigFileError(f'{path}: {BASE_KEY} must be the path of a config or a list of such, got {base!r}')
    found = path.parent / base
    if not found.is_file():
        folder = os.path.dirname(base)
        known = [os.path.join(folder, file.name) for file in found.parent.glob('*') if file.suffix in SUFFIXES]
        raise ConfigFileError(f'{path}: there is no file {found} ({BASE_KEY} {base!r}){did_you_mean(base, known)}')
    if found.resolve() in [file.resolve() for file in above]:
        way = ' -> '.join(str(file) for file in (*above, found))
        raise ConfigFileError(f'{path}: its {BASE_KEY} leads back to a file that is based on it: {way}')
    return found


def _reason(path: str | os.PathLike[str], error: Exception) -> str:
    """What is wrong where mmcv could not make a config of a file."""
    file, line = os.fspath(path), None
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == '_file2dict':
            file = frame.f_locals.get('filename', file)
            copy = frame.f_locals.get('temp_config_file')
            if copy is not None:
                with contextlib.suppress(OSError):  # its folder is gone; what is left open would complain of that
                    copy.close()
        elif frame.f_code.co_filename.startswith(tempfile.gettempdir()) and frame.f_code.co_name == '<module>':
            line = number
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if line is not None:
        hint = ''
        if isinstance(error, NameError):
            hint = f'; names of {BASE_KEY} are not known here ({{{{ {BASE_KEY}.name }}}} stands for the value of one)'
        return f'{file}, line {line}: {type(error).__name__}: {text}{hint} {CALLS}'
    if 'cfg_dict must be a dict' in text:
        return f'{path} is no config: it must hold keys and their values'
    if isinstance(error, KeyError) and 'reserved' in text:
        return f'{path}: {text}; give it another name'
    asked = [one for one in references(Path(file).read_text(encoding='utf-8')) if text in one.key.split('.')]
    if isinstance(error, KeyError) and asked:
        return f'{file}, line {asked[0].line}: {{{{ {BASE_KEY}.{asked[0].key} }}}}: its {BASE_KEY} has no {text!r}'
    if isinstance(error, TypeError | KeyError) and re.search('cannot inherit from base|Duplicate key', text):
        return f'{path} does not fit to its {BASE_KEY}: {text}'
    return f'{path} cannot be read: {type(error).__name__}: {text} {CALLS}'
