"""Settings of the suppression of overlapping boxes (``nms=dict(type=...)``), read when the first boxes are there."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from mmdet.apis.checking.rules import FLAG, NUMBER, POSITIVE, Rule, check_rule, one_of, whole
from mmdet.ops.nms import NMS_OPS, SOFT_METHODS
from mmdet.utils.configs.config_error import ConfigKeyError, ConfigTypeError
from mmdet.utils.registry import accepted_arguments, did_you_mean

OLD_NAMES = ('iou_thr',)
FOR_ALL = ('class_agnostic', 'max_num', 'split_thr')  # read by `batched_nms` itself
DATA = ('boxes', 'scores', 'dets', 'labels')
RULES: dict[str, Rule] = {
    'method': one_of(SOFT_METHODS),
    'sigma': POSITIVE,
    **dict.fromkeys(('min_score', 'score_threshold'), NUMBER),
    'offset': one_of((0, 1)),
    'max_num': whole(1, never=True),
    'split_thr': whole(1),
    'class_agnostic': FLAG,
}


def check_suppression(place: str, cfg: Any) -> None:
    """Check one such dict.

    Args:
        place: its keys, which errors begin with.
        cfg: what stands there; None is left to others.

    Raises:
        ConfigKeyError: an unknown type, or an argument that it does not take.
        ConfigTypeError: a value that cannot be.
    """
    if cfg is None:
        return
    if not isinstance(cfg, Mapping):
        raise ConfigTypeError(f"{place}: expected a dict such as dict(type='nms', iou_threshold=0.5), got {cfg!r}")
    kind = cfg.get('type', 'nms')
    if kind not in NMS_OPS:
        raise ConfigKeyError(
            f'{place}.type: there is no suppression {kind!r}{did_you_mean(str(kind), NMS_OPS)} Known are: '
            f'{", ".join(NMS_OPS)}.'
        )
    known = [*_own_arguments(NMS_OPS[kind]), *FOR_ALL, *OLD_NAMES]
    for key, value in cfg.items():
        if key != 'type' and key not in known:
            raise ConfigKeyError(
                f'{place}: {kind} does not read {key!r}{did_you_mean(str(key), known)} It reads: {", ".join(known)}.'
            )
        if key in RULES:
            check_rule(f'{place}.{key}', value, RULES[key])
    needed = inspect.signature(NMS_OPS[kind]).parameters.get('iou_threshold')
    if needed is not None and needed.default is needed.empty and not {'iou_threshold', 'iou_thr'} & set(cfg):
        raise ConfigKeyError(f"{place}: {kind} needs 'iou_threshold', such as 0.5")


def _own_arguments(function: Callable[..., Any]) -> list[str]:
    return [name for name in accepted_arguments(function) or [] if name not in (*DATA, *FOR_ALL)]
