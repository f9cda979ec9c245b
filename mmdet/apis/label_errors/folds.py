"""Detections on training images by detectors that were not trained on them: k folds, or results that exist."""

import copy
import hashlib
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmcv import Config
from torch import nn

from mmdet.apis.inference import init_detector
from mmdet.apis.label_errors.labelled_images import Source, check_classes
from mmdet.apis.launch import UserError
from mmdet.apis.loaders import batch_test_pipeline, loader_args, train_pipeline
from mmdet.apis.stage_configs import leaf_datasets
from mmdet.apis.test import single_gpu_test
from mmdet.apis.train import set_random_seed, train_detector
from mmdet.datasets.builder import build_dataloader, build_dataset
from mmdet.models import build_detector
from mmdet.utils import atomic_write, build_dp, compat_cfg
from mmdet.utils.output_paths import OutputPaths
from mmdet.utils.plain_data import dump_plain, load_plain

CHECKPOINT_ENDS = ('.pth', '.pt')
Results = list[list[Any]]  # of each source, of each image: what the detector gives


def fold_numbers(counts: Sequence[int], folds: int, seed: int) -> list[np.ndarray]:
    """For each data set the fold (n,) of each of its n images: each fold gets a like part of each data set.

    Raises:
        UserError: fewer than two folds, or more than there are images.
    """
    if not 2 <= folds <= max(sum(counts), 2):
        raise UserError(f'--folds: expected 2 to {max(sum(counts), 2)} (the number of images), got {folds}')
    rng = np.random.default_rng(seed)
    begins = np.cumsum([0, *counts])
    return [rng.permutation(np.arange(start, start + count) % folds) for start, count in zip(begins, counts)]


def write_fold(sources: Sequence[Source], chosen: Sequence[np.ndarray], folder: Path) -> list[str]:
    """Annotation files with the chosen images of each data set; gives their paths.

    Args:
        sources: data sets.
        chosen: for each (n,) bool, which of its images.
        folder: where the files go.
    """
    paths = []
    for number, (source, mask) in enumerate(zip(sources, chosen)):
        content = json.loads(source.ann_file.read_text(encoding='utf-8'))
        ids = {image.image_id for image, chosen_one in zip(source.images, mask) if chosen_one}
        content['images'] = [entry for entry in content['images'] if entry['id'] in ids]
        content['annotations'] = [row for row in content.get('annotations', []) if row['image_id'] in ids]
        path = OutputPaths(folder)(f'{number}_{source.name}.json').resolve()
        with atomic_write(path, encoding='utf-8') as file:
            json.dump(content, file)
        paths.append(str(path))
    return paths


def with_annotation_files(dataset: Any, paths: Sequence[str]) -> Any:
    """A copy of ``cfg.data.train`` whose data sets read these files, in the order of :func:`sources_of`.

    Raises:
        UserError: a data set has proposals, which belong to its whole annotation file.
    """
    dataset = copy.deepcopy(dataset)
    left = list(paths)
    for leaf in leaf_datasets(dataset):
        if leaf.get('proposal_file'):
            raise UserError(f'data.train reads proposals ({leaf.proposal_file}): they cannot be divided into folds')
        several = isinstance(leaf.ann_file, (list, tuple))
        own = [left.pop(0) for _ in (leaf.ann_file if several else (leaf.ann_file,))]
        leaf.ann_file = own if several else own[0]
    return dataset


def train_folds(cfg: Config, sources: Sequence[Source], folds: int, folder: Path) -> Results:
    """Train a detector for each fold on the images of the others, and detect on the fold.

    What is there of an earlier run is used: the detections of a fold, and checkpoints of one that was interrupted.

    Args:
        cfg: config with ``seed``, ``device`` and ``gpu_ids``.
        sources: of ``cfg.data.train``.
        folds: their number.
        folder: where the folds' files go.

    Raises:
        UserError: the folder holds folds of other settings.
    """
    numbers = fold_numbers([len(source.images) for source in sources], folds, cfg.seed)
    _check_settings(cfg, folds, folder)
    found: Results = [[None] * len(source.images) for source in sources]
    for fold in range(folds):
        own = folder / f'fold_{fold}'
        saved = own / 'detections.npz'
        held_out = [mask == fold for mask in numbers]
        if not saved.exists():
            print(f'fold {fold + 1} of {folds}: {sum(int(mask.sum()) for mask in held_out)} images held out')
            model = train_fold(cfg, write_fold(sources, [~mask for mask in held_out], own / 'train'), own)
            dump_plain(detect(cfg, model, write_fold(sources, held_out, own / 'held_out'), sources), saved)
        _fill(found, held_out, load_plain(saved))
    return found


def checkpoint_folds(cfg: Config, sources: Sequence[Source], checkpoints: Sequence[str], folder: Path) -> Results:
    """The detections of checkpoints of as many folds, each on the images of its fold; one detects on all images."""
    numbers = [np.zeros(len(source.images), int) for source in sources]
    if len(checkpoints) > 1:
        numbers = fold_numbers([len(source.images) for source in sources], len(checkpoints), cfg.seed)
    found: Results = [[None] * len(source.images) for source in sources]
    for fold, checkpoint in enumerate(checkpoints):
        held_out = [mask == fold for mask in numbers]
        model = init_detector(cfg, checkpoint, cfg.device)
        paths = write_fold(sources, held_out, folder / f'fold_{fold}' / 'held_out')
        _fill(found, held_out, detect(cfg, model, paths, sources))
    return found


def read_results(paths: Sequence[str], sources: Sequence[Source]) -> Results:
    """Results from files that ``tools/test.py --out`` wrote: one for each data set, or one for all in their order.

    Raises:
        UserError: a file is not there, or has not one result for each image.
    """
    if len(paths) not in (1, len(sources)):
        names = ', '.join(source.name for source in sources)
        raise UserError(f'{len(paths)} files of results: expected one, or one for each data set ({names})')
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise UserError(f'there are no results at {missing[0]}')
    loaded = [load_plain(path) for path in paths]
    counts = [len(source.images) for source in sources]
    if len(paths) == 1 and len(loaded[0]) == sum(counts):
        ends = np.cumsum([0, *counts])
        loaded = [loaded[0][start:end] for start, end in zip(ends, ends[1:])]
    for path, found, source in zip(itertools.cycle(paths), loaded, sources):
        if len(found) != len(source.images):
            raise UserError(
                f'{path}: {len(found)} results for the {len(source.images)} images of {source.name}; all images count, '
                'those without objects too: test with data.test.ann_file of the training set'
            )
        check_classes(found, len(source.dataset.CLASSES), path)
    return loaded


def train_fold(cfg: Config, ann_files: Sequence[str], folder: Path) -> nn.Module:
    """Train the detector of a config on these annotation files; it stays on its device."""
    cfg = copy.deepcopy(cfg)
    cfg.work_dir, cfg.auto_resume = str(folder), True
    cfg.data.train = with_annotation_files(cfg.data.train, ann_files)
    cfg.workflow = [('train', 1)]
    set_random_seed(cfg.seed)
    model = build_detector(cfg.model, train_cfg=cfg.get('train_cfg'), test_cfg=cfg.get('test_cfg'))
    model.init_weights()
    dataset = build_dataset(cfg.data.train)
    model.CLASSES = dataset.CLASSES
    train_detector(model, dataset, cfg, timestamp=time.strftime('%Y%m%d_%H%M%S'), meta=dict(seed=cfg.seed))
    return model


def detect(cfg: Config, model: nn.Module, ann_files: Sequence[str], sources: Sequence[Source]) -> list[Any]:
    """The results of a detector on the images of annotation files, parts of those of the sources, one after another."""
    args = loader_args(
        compat_cfg(cfg).data.get('test_dataloader'), samples_per_gpu=1, workers_per_gpu=2, dist=False, shuffle=False
    )
    wrapped = build_dp(model, cfg.device, device_ids=list(cfg.gpu_ids))
    found: list[Any] = []
    pipeline = train_pipeline(cfg.data.test)
    for path, leaf in zip(ann_files, _single_files(cfg), strict=True):
        part = {**leaf, 'ann_file': path, 'pipeline': pipeline, 'test_mode': True}
        dataset = build_dataset(batch_test_pipeline(part, args['samples_per_gpu']))
        if len(dataset):
            found += single_gpu_test(wrapped, build_dataloader(dataset, **args))
    check_classes(found, len(sources[0].dataset.CLASSES), 'the detector')
    return found


def _single_files(cfg: Config) -> list[dict[str, Any]]:
    """The configs of the data sets of ``cfg.data.train``, one for each annotation file."""
    leaves: list[dict[str, Any]] = []
    for leaf in leaf_datasets(cfg.data.train):
        files = leaf.ann_file if isinstance(leaf.ann_file, (list, tuple)) else [leaf.ann_file]
        for number in range(len(files)):
            own = {key: copy.deepcopy(value) for key, value in leaf.items()}
            if isinstance(own.get('img_prefix'), (list, tuple)):
                own['img_prefix'] = own['img_prefix'][number]
            leaves.append(own)
    return leaves


def _fill(found: Results, chosen: Sequence[np.ndarray], results: Sequence[Any]) -> None:
    """Put results, one data set after another, where the images are that they are of."""
    places = [(source, index) for source, mask in enumerate(chosen) for index in np.flatnonzero(mask)]
    for (source, index), result in zip(places, results, strict=True):
        found[source][index] = result


def _check_settings(cfg: Config, folds: int, folder: Path) -> None:
    """Leave a digest of what the folds depend on in their folder, or compare with it."""
    settings = [cfg.get(key) for key in ('model', 'data', 'optimizer', 'lr_config', 'runner', 'seed')]
    digest = hashlib.sha256(json.dumps([settings, folds], default=str, sort_keys=True).encode()).hexdigest()
    path = folder / 'settings.json'
    if path.exists() and json.loads(path.read_text())['digest'] != digest:
        raise UserError(f'{folder} has folds of other settings; give another --work-dir, or remove it')
    with atomic_write(path) as file:
        json.dump(dict(digest=digest, folds=folds), file)
