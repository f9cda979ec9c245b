"""Settings of the suppression of overlapping boxes (``nms=dict(type=...)``), read when the first boxes are there."""

from collections.abc import Callable, Mapping
from typing import Any

from mmdet.apis.checking.rules import FLAG, NUMBER, POSITIVE, Rule, check_rule, one_of, whole
from mmdet.ops.nms import NMS_OPS, SOFT_METHODS
from mmdet.utils.configs.config_error import ConfigKeyError
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
        cfg: what stands there; anything but a dict is left to others.

    Raises:
        ConfigKeyError: an unknown type, or an argument that it does not take.
        ConfigTypeError: a value that cannot be.
    """
    if not isinstance(cfg, Mapping):
        return
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


def _own_arguments(function: Callable[..., Any]) -> list[str]:
    return [name for name in accepted_arguments(function) or [] if name not in (*DATA, *FOR_ALL)]
