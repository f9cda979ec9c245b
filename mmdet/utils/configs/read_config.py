"""Config files, with errors of one line that names the file."""

import json
import os
import re
import tempfile

import yaml
from mmcv import Config

from mmdet.utils.errors import ReportedError


class ConfigFileError(ReportedError, ValueError):
    """A config file is not valid Python, YAML or JSON."""


def read_config(path: str | os.PathLike[str]) -> Config:
    """The config in a file, without importing its ``custom_imports``.

    Raises:
        ConfigFileError: the file, or one that it is based on, has a syntax error, or the two do not fit together.
    """
    try:
        return Config.fromfile(os.fspath(path), import_custom_modules=False)
    except (SyntaxError, yaml.YAMLError, json.JSONDecodeError, UnicodeDecodeError) as error:
        # mmcv works on a copy, whose name says nothing
        copy = re.escape(tempfile.gettempdir()) + r'/[\w/.]+'
        reason = ' '.join(re.sub(copy, 'the file', str(error)).split())
        raise ConfigFileError(f'{path} (or a file of its _base_) cannot be read: {reason}') from error
    except (TypeError, KeyError) as error:  # what mmcv says where a file and its base do not fit together
        if not re.search('cannot inherit from base|Duplicate key|_base_', str(error)):
            raise
        raise ConfigFileError(f'{path} does not fit to its _base_: {error.args[0]}') from error
