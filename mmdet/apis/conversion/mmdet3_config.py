"""Configs of mmdetection 3.x in the keys of 2.x: those of runs that 2.x could make as well.

What has no counterpart is an error that names it, never left out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmdet.apis.conversion.mmdet3_pipeline import convert_test_pipeline, convert_train_pipeline
from mmdet.apis.conversion.mmdet3_schedule import convert_schedule
from mmdet.apis.conversion.rules import ConversionError

# data sets that have one name, and the same arguments, in both lines
DATASETS = ('CocoDataset', 'LVISV05Dataset', 'LVISV1Dataset', 'VOCDataset', 'CityscapesDataset', 'DeepFashionDataset')
# top-level keys whose content is of no interest to 2.x, or the same for every run
UNUSED = (
    *('default_scope', 'env_cfg', 'visualizer', 'vis_backends', 'log_processor', 'test_evaluator', 'test_cfg'),
    *('train_pipeline', 'test_pipeline', 'dataset_type', 'data_root', 'backend_args', 'file_client_args', 'resume'),
    *('launcher', 'work_dir', 'auto_scale_lr'),
)
READ = (
    *('model', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'val_evaluator', 'train_cfg', 'val_cfg'),
    *('optim_wrapper', 'param_scheduler', 'default_hooks', 'load_from', 'log_level', 'randomness'),
)


def config_of_mmdet3(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a run of 2.x from one of 3.x, with all that it inherits resolved.

    Args:
        cfg: content of the config; scopes such as ``mmdet.`` before types are dropped.

    Raises:
        ConversionError: a key, a step of a pipeline, a schedule or a data set has no counterpart here.
    """
    cfg = without_scopes(cfg)
    unknown = sorted(set(cfg) - set(UNUSED) - set(READ))
    if unknown:
        raise ConversionError(f'the keys {", ".join(unknown)} are not known of configs of 3.x; remove or convert them')
    model, images = convert_model(cfg['model'])
    out = dict(model=model, data=convert_data(cfg, images), **convert_schedule(cfg))
    out['evaluation'] = convert_evaluation(cfg)
    hooks = cfg.get('default_hooks') or {}
    out['checkpoint_config'] = dict(interval=hooks.get('checkpoint', {}).get('interval', 1))
    out['log_config'] = dict(interval=hooks.get('logger', {}).get('interval', 50), hooks=[dict(type='TextLoggerHook')])
    out['workflow'] = [('train', 1)]
    out['log_level'] = cfg.get('log_level', 'INFO')
    if cfg.get('load_from'):
        out['load_from'] = cfg['load_from']
    return out


def without_scopes(node: Any) -> Any:
    """A copy in which types have no scope: ``'mmdet.Resize'`` is ``'Resize'``."""
    if isinstance(node, Mapping):
        copied = {key: without_scopes(value) for key, value in node.items() if key != '_scope_'}
        if isinstance(copied.get('type'), str):
            copied['type'] = copied['type'].rpartition('.')[2]
        return copied
    return type(node)(map(without_scopes, node)) if isinstance(node, (list, tuple)) else node


def convert_model(model: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The model without its preprocessor, and what that does to images: ``mean``, ``std``, ``to_rgb``, ``divisor``."""
    model = dict(model)
    before = dict(model.pop('data_preprocessor', None) or {})
    if before.get('batch_augments'):
        raise ConversionError('model.data_preprocessor.batch_augments: 2.x changes images in the pipeline only')
    images = dict(
        mean=before.get('mean', [0.0, 0.0, 0.0]),
        std=before.get('std', [1.0, 1.0, 1.0]),
        to_rgb=before.get('bgr_to_rgb', False),
        divisor=before.get('pad_size_divisor', 1),
    )
    return model, images


def convert_data(cfg: Mapping[str, Any], images: Mapping[str, Any]) -> dict[str, Any]:
    """``data`` from the three loaders."""
    train = cfg.get('train_dataloader')
    if not isinstance(train, Mapping):
        raise ConversionError("the config has no 'train_dataloader'; give one with all that it inherits")
    data = dict(
        samples_per_gpu=train['batch_size'],
        workers_per_gpu=train.get('num_workers', 2),
        train=convert_dataset(train['dataset'], images, convert_train_pipeline),
    )
    for split in ('val', 'test'):
        loader = cfg.get(f'{split}_dataloader') or cfg.get('val_dataloader')
        if loader:
            data[split] = convert_dataset(loader['dataset'], images, convert_test_pipeline)
            if loader.get('batch_size', 1) != 1:
                data[f'{split}_dataloader'] = dict(samples_per_gpu=loader['batch_size'])
    return data


def convert_dataset(
    dataset: Mapping[str, Any], images: Mapping[str, Any], steps: Callable[..., list[Any]]
) -> dict[str, Any]:
    """A data set, or a wrapper and the data set in it."""
    dataset = dict(dataset)
    kind = dataset.pop('type')
    if kind == 'RepeatDataset':
        return dict(type=kind, times=dataset['times'], dataset=convert_dataset(dataset['dataset'], images, steps))
    if kind == 'ClassBalancedDataset':
        inner = convert_dataset(dataset['dataset'], images, steps)
        return dict(type=kind, oversample_thr=dataset['oversample_thr'], dataset=inner)
    if kind == 'ConcatDataset':
        return dict(type=kind, datasets=[convert_dataset(part, images, steps) for part in dataset['datasets']])
    if kind not in DATASETS:
        raise ConversionError(f'the data set {kind} is not converted; known are {", ".join(DATASETS)} and wrappers')
    out = dict(type=kind, ann_file=dataset.pop('ann_file'), pipeline=steps(dataset.pop('pipeline'), images))
    prefix = dataset.pop('data_prefix', {})
    out['img_prefix'] = prefix.get('img', prefix.get('sub_data_root', ''))
    if prefix.get('seg'):
        out['seg_prefix'] = prefix['seg']
    if dataset.get('data_root'):
        out['data_root'] = dataset.pop('data_root')
    chosen = dataset.pop('filter_cfg', None) or {}
    if 'filter_empty_gt' in chosen:
        out['filter_empty_gt'] = chosen['filter_empty_gt']
    about = dataset.pop('metainfo', None) or {}
    names = about.get('classes') or about.get('CLASSES')
    if names:
        out['classes'] = tuple(names)
    if dataset.pop('test_mode', False):
        out['test_mode'] = True
    left = sorted(key for key in dataset if key not in ('backend_args', 'data_root') and dataset[key] is not None)
    if left:
        raise ConversionError(f'{kind}: {", ".join(left)} have no counterpart in 2.x')
    return out


def convert_evaluation(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """``evaluation`` from the evaluator of the validation, and how often it is asked."""
    evaluators = cfg.get('val_evaluator') or {}
    evaluators = [evaluators] if isinstance(evaluators, Mapping) else list(evaluators)
    metrics: list[str] = []
    for evaluator in evaluators:
        metric = evaluator.get('metric', 'bbox')
        metrics += [metric] if isinstance(metric, str) else list(metric)
    out: dict[str, Any] = dict(interval=(cfg.get('train_cfg') or {}).get('val_interval', 1))
    if metrics:
        out['metric'] = metrics[0] if len(metrics) == 1 else metrics
    saved = (cfg.get('default_hooks') or {}).get('checkpoint', {}).get('save_best')
    if isinstance(saved, Sequence) and saved:
        out['save_best'] = saved if isinstance(saved, str) else saved[0]
        out['save_best'] = out['save_best'].rpartition('coco/')[2]
    return out
