"""Keys of a config that nothing reads: mostly misspelt ones, which would leave a default in force without a word."""

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mmcv import Config
from mmcv.runner import HOOKS
from torch.distributed import init_process_group
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from mmdet.apis.checking import schema
from mmdet.apis.checking.suppression import check_suppression
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.pseudo_sampler import PseudoSampler
from mmdet.core.hook.amp_hook import AmpOptimizerHook
from mmdet.core.optimizers.builder import DEFAULT_CONSTRUCTOR
from mmdet.datasets.builder import build_dataloader
from mmdet.models.builder import MODELS
from mmdet.utils.configs.config_error import ConfigKeyError, config_key
from mmdet.utils.registry import accepted_arguments, did_you_mean

# arguments of loaders that whoever builds them gives
_LOADER_PARTS = {'dataset', 'dist', 'num_gpus', 'runner_type', 'batch_size', 'batch_sampler', 'sampler', 'collate_fn'}
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
SUPPRESSIONS = ('nms', 'nms_cfg')
SAMPLERS = ('sampler', 'ga_sampler')
# likeness of names, 0 to 1, from which on one is a misspelling of the other
SURELY_MEANT = 0.75


def check_known_keys(cfg: Config) -> None:
    """Refuse keys that nothing reads.

    A key of the user's own at the top of a config is accepted where another line of its files refers to it, where its
    value stands in another place, or where ``custom_keys`` lists it.

    Args:
        cfg: in any spelling of mmdetection 2.x; not changed.

    Raises:
        ConfigKeyError: there is one; the text has its place and the nearest known name.
    """
    for key in own_keys(cfg):
        if not (key in (cfg.get('custom_keys') or ()) or is_referred_to(key, cfg.text) or _is_used(key, cfg)):
            raise ConfigKeyError(
                f'nothing reads the key {key!r} of the config{did_you_mean(key, schema.TOP_KEYS)} A key that your own '
                f'code reads must be listed: custom_keys=[{key!r}].'
            )
    _check('data', cfg.get('data'), schema.DATA_KEYS)
    for split in ('train', 'val', 'test'):
        _check(f'data.{split}_dataloader', (cfg.get('data') or {}).get(f'{split}_dataloader'), _loader_keys())
    _check('log_config', cfg.get('log_config'), schema.LOG_KEYS)
    _check('fp16', cfg.get('fp16'), set(_named(AmpOptimizerHook)) - {'grad_clip'})
    _check('auto_scale_lr', cfg.get('auto_scale_lr'), schema.AUTO_SCALE_KEYS)
    _check('custom_imports', cfg.get('custom_imports'), schema.IMPORT_KEYS)
    _check('dist_params', cfg.get('dist_params'), {*_named(init_process_group), 'port'})
    check_paramwise(cfg.get('optimizer'))
    check_grad_clip(cfg.get('optimizer_config'))
    if isinstance(cfg.get('model'), dict):
        check_model_settings(cfg.model)


def own_keys(cfg: Config) -> list[str]:
    """Keys at the top of a config that are the user's own."""
    return [key for key in cfg if key not in schema.TOP_KEYS | schema.HELPER_KEYS]


def is_referred_to(key: str, text: str | None) -> bool:
    """Whether a config's files use a key elsewhere than where they set it."""
    code = re.sub(r'#.*', '', text or '')
    # `key = ...` and `dict(key=...)` set it; `x = key`, `f'{key}/a'`, `_base_.key` and `key[0] = ...` use it
    name = re.escape(key)
    return bool(re.search(rf'(?<![\w.]){name}\b(?!\s*=(?!=))|_base_\.{name}\b', code))


def _is_used(key: str, cfg: Config) -> bool:
    """Whether a key's value stands elsewhere: files that were written by a run have values in place of references."""
    value = cfg[key]
    # numbers stand everywhere by chance
    if not isinstance(value, str | dict | list | tuple):
        return False
    if difflib.get_close_matches(key, schema.TOP_KEYS, cutoff=SURELY_MEANT):
        return False
    return any(_contains(cfg[name], value) for name in cfg if name != key and name in schema.TOP_KEYS)


def _contains(node: Any, value: Any) -> bool:
    if type(node) is type(value) and node == value:
        return True
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ()
    return any(_contains(item, value) for item in inner)


def check_paramwise(optimizer: Any) -> None:
    """Check ``optimizer.paramwise_cfg``, where a constructor of this package or of mmcv reads it.

    Raises:
        ConfigKeyError: a key that nothing reads.
    """
    if not isinstance(optimizer, dict):
        return
    known = schema.PARAMWISE_KEYS.get(optimizer.get('constructor', DEFAULT_CONSTRUCTOR))
    settings = optimizer.get('paramwise_cfg')
    if known is None or not isinstance(settings, dict):
        return
    _check('optimizer.paramwise_cfg', settings, known)
    for name, group in (settings.get('custom_keys') or {}).items():
        _check(f'optimizer.paramwise_cfg.custom_keys[{name!r}]', group, schema.CUSTOM_GROUP_KEYS)


def check_grad_clip(optimizer_config: Any) -> None:
    """Check ``optimizer_config.grad_clip``, where a hook of this package or of mmcv reads it.

    Raises:
        ConfigKeyError: a key that ``clip_grad_norm_`` does not take.
    """
    if not isinstance(optimizer_config, dict):
        return
    hook = HOOKS.get(str(optimizer_config.get('type', 'OptimizerHook')))
    if hook is not None and hook.__module__.partition('.')[0] in ('mmdet', 'mmcv'):
        known = set(_named(clip_grad_norm_)) - {'parameters'}
        _check('optimizer_config.grad_clip', optimizer_config.get('grad_clip'), known)


def check_model_settings(model: Mapping[str, Any]) -> None:
    """Check ``train_cfg`` and ``test_cfg`` of a model, but for sections of heads from outside this package.

    Raises:
        ConfigKeyError: a key that nothing reads.
    """
    if not _is_ours(model):
        return
    for mode, tables in (('train_cfg', schema.TRAIN_KEYS), ('test_cfg', schema.TEST_KEYS)):
        settings = model.get(mode)
        if not isinstance(settings, dict):
            continue
        where = f'model.{mode}'
        if not _has_sections(model):
            if _is_ours(model.get('bbox_head')):
                _check_section(where, settings, tables['dense'])
            continue
        _check(where, settings, schema.SECTIONS)
        for name, known in tables.items():
            head = model.get('roi_head' if name == 'rcnn' else 'rpn_head')
            section = settings.get(name)
            stages = section if isinstance(section, list | tuple) else [section]
            for i, stage in enumerate(stages if _is_ours(head) else []):
                place = f'{where}.{name}[{i}]' if isinstance(section, list | tuple) else f'{where}.{name}'
                _check_section(place, stage, known)


def _has_sections(model: Mapping[str, Any]) -> bool:
    return any(model.get(name) is not None for name in ('rpn_head', 'roi_head'))


def _is_ours(cfg: Any) -> bool:
    """Whether all parts of a model's config are of this package; others may read keys of their own."""
    if isinstance(cfg, list | tuple):
        return all(_is_ours(part) for part in cfg)
    if not isinstance(cfg, dict):
        return True
    kind = cfg.get('type')
    cls = MODELS.get(kind) if isinstance(kind, str) and '.' not in kind else kind
    if inspect.isclass(cls) and not cls.__module__.startswith(('mmdet.', 'mmcv.', 'torch.')):
        return False
    inner = ('roi_head', 'rpn_head', 'bbox_head', 'mask_head', 'keypoint_head', 'panoptic_fusion_head')
    return all(_is_ours(cfg.get(name)) for name in inner)


def _check_section(where: str, settings: Any, known: Iterable[str]) -> None:
    _check(where, settings, known)
    for name, inner in schema.INNER_KEYS.items():
        if isinstance(settings, dict):
            _check(f'{where}.{name}', settings.get(name), inner)
    for name in SUPPRESSIONS:
        if isinstance(settings, dict):
            check_suppression(f'{where}.{name}', settings.get(name))
    for name in SAMPLERS:
        if isinstance(settings, dict):
            _check_sampler(f'{where}.{name}', settings.get(name))


def _check_sampler(where: str, cfg: Any) -> None:
    """Check the arguments of a sampler of this package; their constructors take any name, and leave it aside."""
    kind = cfg.get('type') if isinstance(cfg, dict) else None
    cls = BBOX_SAMPLERS.get(kind) if isinstance(kind, str) else kind
    if not inspect.isclass(cls) or not cls.__module__.startswith('mmdet.') or issubclass(cls, PseudoSampler):
        return
    inits = [vars(parent)['__init__'] for parent in cls.__mro__[:-1] if '__init__' in vars(parent)]
    named = {p.name for init in inits for p in inspect.signature(init).parameters.values() if p.kind in NAMED}
    _check(where, cfg, {'type', *named} - {'self', 'context'})
    for name in ('pos_sampler', 'neg_sampler'):
        _check_sampler(f'{where}.{name}', cfg.get(name))


def _named(function: Any) -> list[str]:
    """Names of the arguments of a function that takes no others."""
    return accepted_arguments(function) or []


def _loader_keys() -> list[str]:
    own = accepted_arguments(build_dataloader) or list(inspect.signature(build_dataloader).parameters)
    return [key for key in {*own, *_named(DataLoader)} if key not in _LOADER_PARTS and key != 'kwargs']


def _check(where: str, settings: Any, known: Iterable[str]) -> None:
    if not isinstance(settings, dict):
        return
    known = sorted(known)
    for key in settings:
        if key not in known:
            with config_key(where):
                raise ConfigKeyError(f'nothing reads {key!r}{did_you_mean(str(key), known)} Read: {", ".join(known)}.')
