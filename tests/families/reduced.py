"""Configs of the tree on made data: small images, two steps, no downloads; the model's parts stay as they are."""

import sys
from pathlib import Path
from typing import Any

import made_data
from mmcv import Config, ConfigDict

from mmdet.apis.checking.unknown_keys import own_keys
from mmdet.core.evaluation import class_lists

sys.path.append(str(Path(__file__).resolve().parents[2] / 'benchmarks'))
from zoo_on_shapes_models import WIDTH_KNOWN, at_most, mapped, narrowed, without_downloads  # noqa: E402

# keys of pipeline steps that hold sizes in px
SIZE_KEYS = {'img_scale', 'crop_size', 'size', 'scale', 'center_crop_size', 'allow_negative_crop_size'}
# numbers of samples and proposals, at most
FEW_ROWS = dict.fromkeys(('nms_pre', 'nms_post', 'max_per_img', 'max_num', 'num', 'mask_num', 'num_points', 'topk'), 64)
FEW_LAYERS = dict(num_layers=2)


def smaller(value: Any) -> Any:
    """Sizes in px, 1333 or (1333, 800) or lists of them, brought down to between 64 and 128."""
    if isinstance(value, (list, tuple)):
        return type(value)(smaller(part) for part in value)
    if isinstance(value, int) and value >= 200:
        return min(max(64, round(value / 12 / 32) * 32), 128)
    return value


def small_pipeline(node: Any, keep_sizes: bool) -> Any:
    """A pipeline's config with small images."""
    if isinstance(node, dict):
        return {
            key: smaller(value) if key in SIZE_KEYS and not keep_sizes else small_pipeline(value, keep_sizes)
            for key, value in node.items()
        }
    return [small_pipeline(part, keep_sizes) for part in node] if isinstance(node, list) else node


def made_dataset(cfg: dict, folder: Path, keep_sizes: bool) -> dict:
    """A data set's config with files of its own in ``folder``."""
    kind = cfg['type']
    if 'dataset' in cfg:
        inner = made_dataset(cfg['dataset'], folder, keep_sizes)
        extra = dict(times=1) if kind == 'RepeatDataset' else {}
        if 'pipeline' in cfg:
            extra['pipeline'] = small_pipeline(cfg['pipeline'], keep_sizes)
        return {**cfg, 'dataset': inner, **extra}
    if 'datasets' in cfg:
        return made_dataset(cfg['datasets'][0], folder, keep_sizes)
    folder.mkdir(parents=True)
    made_data.write_images(folder)
    own = {key: value for key, value in cfg.items() if not key.endswith(('_file', '_prefix', 'data_root', 'min_size'))}
    own['pipeline'] = small_pipeline(cfg['pipeline'], keep_sizes)
    files = _files_of(kind, cfg.get('classes'), folder)
    if cfg.get('proposal_file'):
        files['proposal_file'] = made_data.write_proposals(folder)
    return {**own, **files}


def _files_of(kind: str, classes: Any, folder: Path) -> dict:
    if 'OpenImages' in kind:
        return made_data.write_open_images(folder, 601)
    classes = made_data.classes_of(kind, classes)
    if kind in ('VOCDataset', 'WIDERFaceDataset', 'XMLDataset'):
        (folder / 'VOC2007').mkdir()
        if kind == 'VOCDataset':
            root = folder / 'VOC2007'
            made_data.write_images(root)
            return made_data.write_xml(root, classes, 'JPEGImages')
        return made_data.write_xml(folder, classes, 'photos')
    if kind == 'CocoPanopticDataset':
        return made_data.write_panoptic(folder, classes, len(class_lists.COCO))
    return made_data.write_coco(folder, classes)


def reduced_config(path: Path, folder: Path, keep_sizes: bool = False, narrow: bool = True) -> Config:
    """The config at ``path`` for two steps on data in ``folder``.

    Args:
        path: config of the tree.
        folder: where its data are made.
        keep_sizes: leave the pipelines' sizes, for detectors of one input size.
        narrow: an eighth of the channels.
    """
    cfg = Config.fromfile(str(path))
    model = mapped(cfg.model.to_dict(), without_downloads)
    if narrow:
        model = narrowed(model, model['backbone']['type'] in WIDTH_KNOWN, factor=8)
        model = mapped(model, lambda node: at_most(node, FEW_ROWS))
    cfg.model = ConfigDict(mapped(model, lambda node: at_most(node, FEW_LAYERS)))
    for part in ('train', 'val', 'test'):
        cfg.data[part] = ConfigDict(made_dataset(cfg.data[part].to_dict(), folder / part, keep_sizes))
    for part in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg.data.pop(part, None)
    cfg.data.update(samples_per_gpu=2, workers_per_gpu=0, persistent_workers=False)
    endless = cfg.get('runner', {}).get('type') == 'IterBasedRunner'
    cfg.runner = dict(type='IterBasedRunner', max_iters=2) if endless else dict(type='EpochBasedRunner', max_epochs=1)
    cfg.pop('total_epochs', None)
    for key in own_keys(cfg):  # what they were used for has other values now
        cfg.pop(key)
    cfg.load_from = None
    cfg.optimizer['lr'] = 1e-6  # weights are random, and normalisation layers frozen: losses are large
    cfg.checkpoint_config = dict(interval=2 if endless else 1, save_optimizer=False)
    cfg.log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook')])
    return cfg
