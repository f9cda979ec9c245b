"""Values that settings of a config may have: their kinds and ranges.

What is built by a constructor of this package, of mmcv or of torch is checked against that one's type hints as well,
see :mod:`mmdet.utils.configs.kinds`.
"""

import logging
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from mmcv import Config
from mmcv.runner import Priority

from mmdet.apis.checking.rules import (
    DICT,
    DICTS,
    FLAG,
    FRACTION,
    NOT_NEGATIVE,
    NUMBER,
    POSITIVE,
    TEXT,
    Rule,
    check_rule,
    is_whole,
    number,
    one_of,
    whole,
)
from mmdet.models.builder import DETECTORS
from mmdet.models.detectors.two_stage import TwoStageDetector
from mmdet.utils.configs.config_error import ConfigKeyError, ConfigTypeError, nodes, path_text
from mmdet.utils.registry import is_from_elsewhere
from mmdet.utils.util_distribution import DEVICES

PRIORITIES = tuple(Priority.__members__)
LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')

WARMUP = number('above 0 and up to 1', lambda value: 0 < value <= 1)


def _is_steps(value: Any) -> bool:
    if is_whole(value):
        return bool(value > 0)
    steps = list(value) if isinstance(value, list | tuple) else [None]
    return all(map(is_whole, steps)) and all(step > 0 for step in steps) and all(a < b for a, b in pairwise(steps))  # type: ignore[operator]


def _is_range(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(is_whole, value)) and value[0] <= value[1]


def _is_level(value: Any) -> bool:
    return is_whole(value) or (isinstance(value, str) and isinstance(logging.getLevelName(value), int))


def _is_priority(value: Any) -> bool:
    return (is_whole(value) and 0 <= value <= 100) or (isinstance(value, str) and value.upper() in PRIORITIES)


# keys that lead to a setting, `*` for any -> what it must be; a setting that is missing or None is left to its default
SETTINGS = {
    **{f'data{loader}.samples_per_gpu': whole(1) for loader in ('', '.*_dataloader')},
    **{f'data{loader}.workers_per_gpu': whole(0) for loader in ('', '.*_dataloader')},
    **{f'data{loader}.persistent_workers': FLAG for loader in ('', '.*_dataloader')},
    'data': DICT,
    'optimizer': DICT,
    'optimizer.lr': POSITIVE,
    'optimizer.momentum': number('from 0 to below 1', lambda value: 0 <= value < 1),
    'optimizer.weight_decay': NOT_NEGATIVE,
    'optimizer_config.grad_clip': DICT,
    'optimizer_config.grad_clip.max_norm': POSITIVE,
    'optimizer_config.cumulative_iters': whole(1),
    'lr_config.step': Rule('a whole number above 0, or a list of such in ascending order', _is_steps),
    'lr_config.gamma': POSITIVE,
    'lr_config.warmup_iters': whole(1),
    'lr_config.warmup_ratio': WARMUP,
    'runner': DICT,
    'runner.max_epochs': whole(1),
    'runner.max_iters': whole(1),
    'evaluation': DICT,
    'evaluation.interval': whole(1),
    'evaluation.start': whole(0),
    'evaluation.rule': one_of(('greater', 'less')),
    'checkpoint_config': DICT,
    'checkpoint_config.interval': whole(1, never=True),
    'checkpoint_config.max_keep_ckpts': whole(1, never=True),
    'log_config': DICT,
    'log_config.interval': whole(1),
    'log_config.hooks': DICTS,
    'log_config.hooks.*.interval': whole(1),
    'model.random_size_interval': whole(1),
    'model.random_size_range': Rule('two whole numbers in ascending order', _is_range),
    'log_level': Rule(f'one of {", ".join(LEVELS)}', _is_level),
    'seed': Rule('a whole number from 0 to 2**32 - 1', lambda value: is_whole(value) and 0 <= value < 2**32),
    'auto_scale_lr': DICT,
    'auto_scale_lr.enable': FLAG,
    'auto_scale_lr.base_batch_size': whole(1),
    'min_loaded_fraction': FRACTION,
    'audit': DICT,
    'audit.enable': FLAG,
    'audit.sample_files': whole(0),
    'fp16': DICT,
    'custom_imports': DICT,
    'custom_hooks': Rule('a list of dicts', lambda value: isinstance(value, list | tuple | dict)),
    'custom_hooks.*.priority': Rule(f'a whole number from 0 to 100, or one of {", ".join(PRIORITIES)}', _is_priority),
    'dist_params': DICT,
    'dist_params.timeout': POSITIVE,
    **dict.fromkeys(('load_from', 'resume_from', 'work_dir'), TEXT),
    'device': one_of(DEVICES),
    **dict.fromkeys(('auto_resume', 'trust_checkpoint', 'per_source_log', 'find_unused_parameters'), FLAG),
}
# what says how long runners train
RUNNER_LENGTHS = {'EpochBasedRunner': 'max_epochs', 'IterBasedRunner': 'max_iters'}
# settings inside `train_cfg` and `test_cfg` of a model, wherever they stand there
MODEL_SETTINGS = {
    **dict.fromkeys(('score_thr', 'min_bbox_size', 'mask_thr_binary', 'conf_thr', 'pos_weight'), NUMBER),
    **dict.fromkeys(('iou_threshold', 'iou_thr', 'pos_iou_thr', 'min_pos_iou', 'pos_fraction'), FRACTION),
    **dict.fromkeys(('pos_ignore_thr', 'neg_ignore_thr'), FRACTION),
    **dict.fromkeys(('nms_pre', 'max_per_img', 'max_per_image', 'num', 'topk', 'top_k'), whole(1, never=True)),
    **dict.fromkeys(('num_points', 'corner_topk'), whole(1)),
    'local_maximum_kernel': Rule('an odd whole number', lambda value: is_whole(value) and value > 0 and value % 2 == 1),
    **dict.fromkeys(('mask_overlap', 'importance_sample_ratio'), FRACTION),
    **dict.fromkeys(('sigma', 'neg_pos_ratio', 'oversample_ratio', 'distance_threshold'), POSITIVE),
    **dict.fromkeys(('mask_thr', 'filter_thr', 'update_thr', 'object_mask_thr'), NUMBER),
    **dict.fromkeys(('stuff_area_limit', 'alpha', 'beta'), NOT_NEGATIVE),
    'initial_epoch': whole(0),
    'allowed_border': NUMBER,
    'debug': FLAG,
    'kernel': one_of(('gaussian', 'linear')),
}
# arguments of parts of a model, wherever they stand: a value, or a list of such
MODEL_ARGUMENTS = {
    'loss_weight': NOT_NEGATIVE,
    **dict.fromkeys(('num_queries', 'num_query', 'num_proposals'), whole(1)),
}
# the same of parts that are not the user's own, which may mean something else by these names
KNOWN_PARTS_ARGUMENTS = {
    **dict.fromkeys(('class_weight', 'bg_cls_weight', 'alpha', 'beta', 'gamma', 'ctr_clamp'), NOT_NEGATIVE),
    **dict.fromkeys(('num_classes', 'num_heads', 'num_points', 'num_levels', 'num_layers', 'roi_feat_size'), whole(1)),
    **dict.fromkeys(('embed_dims', 'embed_dim', 'feedforward_channels', 'num_feats', 'num_outs'), whole(1)),
    **dict.fromkeys(('stacked_convs', 'num_csp_blocks', 'num_convs', 'start_level', 'cls_down_index'), whole(0)),
    **dict.fromkeys(('num_groups', 'scales_per_octave', 'num_feat_levels'), whole(1)),
    **dict.fromkeys(('target_stds', 'strides', 'featmap_strides', 'mask_stride', 'pos_scale'), POSITIVE),
    **dict.fromkeys(('pull_weight', 'push_weight'), NOT_NEGATIVE),
    'corner_emb_channels': whole(0),  # 0: pairs by centripetal shifts
    **dict.fromkeys(('num_fcs', 'num_cls_fcs', 'num_reg_fcs', 'num_shared_fcs', 'num_shared_convs'), whole(0)),
    **dict.fromkeys(('widen_factor', 'deepen_factor', 'center_radius', 'octave_base_scale'), POSITIVE),
    **dict.fromkeys(('dropout', 'attn_drop', 'ffn_drop'), FRACTION),
}
CHANNELS = whole(1)  # of arguments that end so: in_channels, feat_channels, ...
# arguments of hooks, of whichever hook
HOOK_ARGUMENTS = {
    **dict.fromkeys(('interval', 'table_interval', 'interval_exp_name'), whole(1, never=True)),
    **dict.fromkeys(('cumulative_iters', 'cyclic_times', 'num_batches', 'num_images', 'total_iter'), whole(1)),
    **dict.fromkeys(('patience', 'max_rois', 'profile_iters', 'total_steps'), whole(1)),
    **dict.fromkeys(('warm_up', 'warmup_iters', 'num_last_epochs', 'num_eval_images'), whole(0)),
    **dict.fromkeys(('max_keep_ckpts', 'bucket_size_mb'), whole(1, never=True)),
    **dict.fromkeys(('momentum', 'pct_start', 'step_ratio_up', 'start_percent'), FRACTION),
    **dict.fromkeys(('bbox_score_thr', 'score_thr'), FRACTION),
    **dict.fromkeys(('min_lr', 'min_lr_ratio', 'min_momentum', 'min_momentum_ratio', 'min_delta'), NOT_NEGATIVE),
    **dict.fromkeys(('power', 'div_factor', 'final_div_factor', 'gamma'), POSITIVE),
    'warmup_ratio': WARMUP,
}


def check_hook_values(place: str, arguments: Mapping[str, Any]) -> None:
    """Check the arguments of a hook of this package or of mmcv.

    Args:
        place: of the hook in the config, which errors begin with.
        arguments: those that the config gives.

    Raises:
        ConfigTypeError: one has a value that no hook can have.
    """
    for key, value in arguments.items():
        if key in HOOK_ARGUMENTS:
            check_rule(f'{place}.{key}', value, HOOK_ARGUMENTS[key])


def check_values(cfg: Config) -> None:
    """Check that settings have values that they can have.

    Args:
        cfg: in today's keys; not changed.

    Raises:
        ConfigKeyError, ConfigTypeError: one has not; the text begins with its keys.
    """
    runner = cfg.get('runner') or {}
    length = RUNNER_LENGTHS.get(str(runner.get('type')))
    if length and runner.get(length) is None:
        raise ConfigKeyError(f'runner: {runner["type"]} needs {length!r}')
    for path, rule in SETTINGS.items():
        for place, value in _found(cfg, path.split('.')):
            check_rule(place, value, rule)
    _check_sections(cfg.get('model') or {})
    for mode in ('train_cfg', 'test_cfg'):
        for place, key, value in _leaves((cfg.get('model') or {}).get(mode), f'model.{mode}'):
            if key in MODEL_SETTINGS:
                check_rule(place, value, MODEL_SETTINGS[key])
    for place, key, value, elsewhere in _arguments(cfg.get('model') or {}, 'model'):
        accepted = MODEL_ARGUMENTS.get(key)
        if accepted is None and not elsewhere:
            accepted = KNOWN_PARTS_ARGUMENTS.get(key, CHANNELS if key.endswith('_channels') else None)
        if accepted is not None:
            check_rule(place, value, accepted)
    _check_thresholds(cfg.get('model') or {})


def _check_thresholds(model: Mapping[str, Any]) -> None:
    """What is a positive at an IoU must not be a negative at that same IoU."""
    for keys, node in nodes(model):
        positive, negative = node.get('pos_iou_thr'), node.get('neg_iou_thr')
        if positive is None or negative is None:
            continue
        place = f'model{path_text(keys)}.neg_iou_thr'
        bounds = negative if isinstance(negative, list | tuple) else (0, negative)
        for bound in bounds:
            check_rule(place, bound, FRACTION)
        if len(bounds) != 2 or not bounds[0] <= bounds[1] <= positive:
            raise ConfigTypeError(
                f'{place}: expected a number from 0 up to pos_iou_thr={positive}, or (low, high), got {negative!r}'
            )


def _check_sections(model: Mapping[str, Any]) -> None:
    """A part is not an empty list; two-stage detectors need their sections of ``train_cfg`` and ``test_cfg``.

    A section may be None, but must be there.
    """
    for name, part in model.items():
        if isinstance(part, list | tuple) and not part and name.endswith(('backbone', 'neck', 'head')):
            raise ConfigTypeError(f"model.{name}: expected a dict with 'type', got {part!r}")
    kind = DETECTORS.get(str(model.get('type')))
    if kind is None or not issubclass(kind, TwoStageDetector):
        return
    for mode in ('train_cfg', 'test_cfg'):
        for head, section in (('rpn_head', 'rpn'), ('roi_head', 'rcnn')):
            if mode in model and isinstance(model.get(head), dict) and section not in (model[mode] or {}):
                raise ConfigKeyError(f'model.{mode}: needs {section!r}, the settings of the {head}')


def _found(node: Any, keys: list[str], place: str = '') -> Iterator[tuple[str, Any]]:
    """Every value that keys lead to."""
    if not keys:
        yield place, node
        return
    first, *rest = keys
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if isinstance(node, Config):
        items = node._cfg_dict.items()
    for key, value in items:
        if key == first or (first.startswith('*') and str(key).endswith(first[1:])):
            inner = f'{place}[{key}]' if isinstance(key, int) else f'{place}.{key}'.lstrip('.')
            yield from _found(value, rest, inner)


def _leaves(node: Any, place: str) -> Iterator[tuple[str, str, Any]]:
    """Every value of nested dicts, and of dicts in lists, with its place and its key."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else ()
    for key, value in items:
        inner = f'{place}[{key}]' if isinstance(key, int) else f'{place}.{key}'
        if isinstance(value, dict) or (isinstance(value, list | tuple) and any(isinstance(v, dict) for v in value)):
            yield from _leaves(value, inner)
        elif not isinstance(key, int):
            yield inner, str(key), value


def _arguments(node: Mapping[str, Any], place: str, elsewhere: bool = False) -> Iterator[tuple[str, str, Any, bool]]:
    """Every value of nested dicts with its place, its key and whether its part is the user's own.

    The entries of lists, to any depth, stand in the place of lists.
    """
    elsewhere = is_from_elsewhere(node['type']) if 'type' in node else elsewhere
    for key, value in node.items():
        for path, part in _entries(value):
            inner = f'{place}.{key}{path}'
            if isinstance(part, dict):
                yield from _arguments(part, inner, elsewhere)
            else:
                yield inner, str(key), part, elsewhere


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, list | tuple):
        yield '', value
        return
    for i, part in enumerate(value):
        for path, inner in _entries(part):
            yield f'[{i}]{path}', inner
