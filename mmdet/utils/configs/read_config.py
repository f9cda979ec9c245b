"""Config files, with errors of one line that names the file."""

import json
import os
import re
import tempfile

import yaml
from mmcv import Config

from mmdet.utils.errors import ReportedError

SUFFIXES = ('.py', '.yaml', '.yml', '.json')


class ConfigFileError(ReportedError, ValueError):
    """A config file is not valid Python, YAML or JSON."""


def read_config(path: str | os.PathLike[str]) -> Config:
    """The config in a file, without importing its ``custom_imports``.

    Raises:
        ConfigFileError: the file is no config; it, or one that it is based on, has a syntax error; the two do not fit.
    """
    if os.path.splitext(path)[1] not in SUFFIXES:
        raise ConfigFileError(
            f'{path} is no config, which ends in {", ".join(SUFFIXES)}; are the arguments in another order?'
        )
    try:
        _parse(path)
        return Config.fromfile(os.fspath(path), import_custom_modules=False)
    except (SyntaxError, yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError) as error:
        # mmcv works on a copy, whose name says nothing
        copy = re.escape(tempfile.gettempdir()) + r'/[\w/.]+'
        reason = ' '.join(re.sub(copy, 'the file', str(error)).split())
        raise ConfigFileError(f'{path} (or a file of its _base_) cannot be read: {reason}') from error
    except (TypeError, KeyError) as error:  # what mmcv says where a file and its base do not fit together
        if not re.search('cannot inherit from base|Duplicate key|_base_|cfg_dict must be a dict', str(error)):
            raise
        if 'cfg_dict' in str(error):
            raise ConfigFileError(f'{path} is no config: it must hold keys and their values') from error
        raise ConfigFileError(f'{path} does not fit to its _base_: {error.args[0]}') from error


def _parse(path: str | os.PathLike[str]) -> None:
    """Look at the syntax of a file before mmcv does, whose temporary files add calls to an error."""
    with open(path, encoding='utf-8') as file:
        text = file.read()
    suffix = os.path.splitext(path)[1]
    if suffix == '.py':
        compile(text, 'the file', 'exec')
    elif suffix == '.json':
        json.loads(text)
    else:
        yaml.compose(text)
