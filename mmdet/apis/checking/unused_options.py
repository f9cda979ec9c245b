"""Options of the command line that change a key which nothing reads, such as ``train_pipeline``."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmcv import Config

from mmdet.apis.checking import schema
from mmdet.apis.checking.unknown_keys import own_keys


def options_without_effect(cfg: Config, options: Mapping[str, Any]) -> list[str]:
    """What is to be said of options that change a helper of a config file, whose value was taken over before.

    A file sets ``train_pipeline`` and refers to it in ``data.train.pipeline``; once it is read these are two values.

    Args:
        cfg: the config before the options; keys that ``custom_keys`` lists are read by the user's code.
        options: dotted key -> value.

    Returns:
        A sentence for each such key, with the places that have its value.
    """
    helpers = (schema.HELPER_KEYS | set(own_keys(cfg))) - set(cfg.get('custom_keys') or ())
    texts = []
    for option in options:
        key, _, rest = option.partition('.')
        if key not in helpers or key not in cfg:
            continue
        places = list(places_of(cfg._cfg_dict, cfg[key], skip=helpers))
        tail = f'.{rest}' if rest else ''
        instead = f'; it stands in {" and ".join(f"{place}{tail}" for place in places)}' if places else ''
        texts.append(f'the option {option} changes nothing: only the config file refers to {key}{instead}')
    return texts


def places_of(node: Any, value: Any, skip: set[str] | frozenset[str] = frozenset(), place: str = '') -> Iterator[str]:
    """Dotted keys under which a list, dict or text stands in a config; of numbers, which are equal by chance, none."""
    if not isinstance(value, str | dict | list | tuple):
        return
    if place and type(node) is type(value) and node == value:
        yield place
        return
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else ()
    for key, item in items:
        if place or key not in skip:
            yield from places_of(item, value, skip, f'{place}.{key}' if place else str(key))
