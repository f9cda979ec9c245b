"""References inside a config: ``'${data.train.type}'`` stands for the value at that path."""

import re
from typing import Any

from mmcv import Config

REFERENCE = re.compile(r'\$\{([^{}]+)\}')


def replace_cfg_vals(ori_cfg: Config) -> Config:
    """A new config in which each ``${path}`` is replaced by what stands there.

    A text that is one reference alone takes over the value as it is; inside a longer text the value becomes text. Where
    there is a ``model_wrapper``, such as ``dict(type='SoftTeacher', detector='${model}')``, it takes the place of
    ``model``.

    Raises:
        KeyError: a path does not exist.
        TypeError: a dict, list or tuple is referred to inside a longer text.
        ValueError: references go round in a circle.
    """
    values = {key: _resolve(value, ori_cfg, ()) for key, value in ori_cfg._cfg_dict.items()}
    if values.get('model_wrapper') is not None:
        values['model'] = values.pop('model_wrapper')
    return Config(values, cfg_text=ori_cfg.text, filename=ori_cfg.filename)


def _resolve(value: Any, cfg: Config, trail: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(item, cfg, trail) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_resolve(item, cfg, trail) for item in value)
    if not isinstance(value, str):
        return value
    whole = REFERENCE.fullmatch(value)
    if whole:
        return _look_up(whole[1], cfg, trail)
    return REFERENCE.sub(lambda found: _as_text(_look_up(found[1], cfg, trail), found[0], value), value)


def _look_up(path: str, cfg: Config, trail: tuple[str, ...]) -> Any:
    path = path.strip()
    if path in trail:
        raise ValueError(f'the references {" -> ".join([*trail, path])} go round in a circle')
    node = cfg._cfg_dict
    for key in path.split('.'):
        try:
            node = node[int(key)] if isinstance(node, (list, tuple)) else node[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise KeyError(f'${{{path}}}: the config has no {key!r} there') from None
        if isinstance(node, str):  # a reference itself, whose value the path may go on into
            node = _resolve(node, cfg, (*trail, path))
    return _resolve(node, cfg, (*trail, path))


def _as_text(value: Any, reference: str, text: str) -> str:
    if isinstance(value, (dict, list, tuple)):
        raise TypeError(f'{reference} in {text!r} is a {type(value).__name__}; only one value can stand inside a text')
    return str(value)
