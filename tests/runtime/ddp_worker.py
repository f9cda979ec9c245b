"""Runs on each of two processes: training steps in which one process has nothing to learn from."""

import copy
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from mmcv import Config
from mmcv.parallel import DataContainer as DC

from mmdet.apis.test import collect_results_cpu, collect_results_gpu
from mmdet.core.directives import unlabelled_directives
from mmdet.core.mask import BitmapMasks
from mmdet.models import build_detector
from mmdet.utils import build_ddp

sys.path.append(str(Path(__file__).parents[1] / 'models'))
from small_zoo import DENSE, MASKS, TAUGHT, with_mask_queries  # noqa: E402

EMPTY = dict(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
FULL = dict(boxes=torch.tensor([[8.0, 8, 40, 40]]), labels=torch.tensor([1]))
# what the second process sees; the first one has an ordinary image
CASES = {
    'no objects': (EMPTY, {}),
    'weight 0': (FULL, {'rpn_head.loss_weight': 0.0, 'roi_head.loss_weight': 0.0}),
    'mask weight 0': (FULL, {'mask_head.loss_weight': 0.0}),
    'negatives ignored': (FULL, {'ignore_negatives': 1}),
    'nothing left': (EMPTY, {'ignore_negatives': 1}),
    'negatives without weight': (FULL, {'rpn_head.negative_weight': 0.0, 'roi_head.negative_weight': 0.0}),
    'soft negatives, no objects': (EMPTY, {'negatives': dict(type='soft', weight=0.0)}),
    'overlap': (FULL, {'negatives': 'overlap'}),
    'overlap, no objects': (EMPTY, {'negatives': dict(type='overlap', floor=0.0)}),
    'all negatives doubted': (EMPTY, {'negatives': dict(type='recalibrate', score_thr=1e-9, warmup=0)}),
    'one class annotated': (FULL, {'labeled_classes': [1]}),
    'no class annotated': (EMPTY, {'labeled_classes': [], 'rpn_head.negatives': 'none'}),
}

OF_HEADS = {
    'no objects': (EMPTY, {}),
    'weight 0': (FULL, {'bbox_head.loss_weight': 0.0}),
    'negatives ignored': (FULL, {'ignore_negatives': 1}),
    'nothing left': (EMPTY, {'ignore_negatives': 1}),
    'overlap, no objects': (EMPTY, {'negatives': dict(type='overlap', floor=0.0)}),
    'no class annotated': (EMPTY, {'labeled_classes': []}),
}


def batch(truth: dict, directives: dict, seed: int) -> dict:
    """A collated batch of one image."""
    torch.manual_seed(seed)
    shape = (64, 64, 3)
    meta = dict(img_shape=shape, pad_shape=shape, ori_shape=shape, scale_factor=np.ones(4, np.float32), flip=False)
    return dict(
        img=DC([torch.rand(1, 3, 64, 64)], stack=True),
        img_metas=DC([[{**meta, **directives}]], cpu_only=True),
        gt_bboxes=DC([[truth['boxes']]]),
        gt_labels=DC([[truth['labels']]]),
        gt_masks=DC([[BitmapMasks(np.ones((len(truth['boxes']), 64, 64), np.uint8), 64, 64)]], cpu_only=True),
    )


def step(model, optimizer, data: dict) -> list[str]:
    """One training step; gives the names of the losses."""
    out = model.train_step(data, optimizer)
    optimizer.zero_grad()
    out['loss'].backward()
    optimizer.step()
    assert all(np.isfinite(value) for value in out['log_vars'].values()), out['log_vars']
    return sorted(out['log_vars'])


def same_on_all(value: object) -> bool:
    """Whether the processes have equal values."""
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return all(other == values[0] for other in values)


def check_steps(config: str, rank: int, **options: Any) -> None:
    torch.manual_seed(0)
    cfg = Config.fromfile(config).model
    cfg.roi_head.mask_head = dict(type='FCNMaskHead', num_convs=1, in_channels=16, conv_out_channels=4, num_classes=2)
    cfg.roi_head.mask_roi_extractor = dict(
        cfg.roi_head.bbox_roi_extractor, roi_layer=dict(type='RoIAlign', output_size=4, sampling_ratio=0)
    )
    cfg.train_cfg.rcnn.mask_size = 8
    check_cases(build_detector({**cfg, 'directives': {}, **options}), CASES, rank)


def check_zoo(rank: int) -> None:
    """Every detector of the zoo."""
    queries = (with_mask_queries('MaskFormer'), with_mask_queries('Mask2Former'))
    no_masks = ('gt_masks',)
    # heads of grids have no boxes that overlap
    of_grids = {name: case for name, case in OF_HEADS.items() if not name.startswith('overlap')}
    groups = ((DENSE, OF_HEADS, no_masks), (TAUGHT, OF_HEADS, no_masks), (MASKS, of_grids, ()))
    for models, cases, without in (*groups, (dict(enumerate(queries)), OF_HEADS, ())):
        for cfg in models.values():
            torch.manual_seed(0)
            check_cases(build_detector(dict(copy.deepcopy(cfg), directives={})), cases, rank, without)


def check_cases(start: torch.nn.Module, cases: dict, rank: int, without: tuple[str, ...] = ()) -> None:
    for name, (truth, directives) in cases.items():
        model = build_ddp(copy.deepcopy(start), 'cpu', broadcast_buffers=False)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        data = batch(truth, directives, rank) if rank else batch(FULL, {}, rank)
        data = {key: value for key, value in data.items() if key not in without}
        for _ in range(2):  # a second step fails where a parameter got no gradient in the first
            names = step(model, optimizer, copy.deepcopy(data))
            assert same_on_all(names), name
        weights = [p.detach().double().sum().item() for p in model.parameters()]
        assert same_on_all(weights), name
        moved = sum((a - b).abs().sum() for a, b in zip(model.module.parameters(), start.parameters()))
        assert moved > 0, name


def check_adaptation(config: str, rank: int) -> None:
    """Domain classifiers with a process that has target images alone; equal losses' names and equal weights."""
    cfg = Config.fromfile(config).model
    cfg.train_cfg.domain = dict(
        image=dict(in_channels=16, hidden_channels=8),
        instance=dict(in_channels=16, hidden_channels=8),
        consistency_weight=0.1,
    )
    torch.manual_seed(0)
    start = build_detector(cfg)
    model = build_ddp(copy.deepcopy(start), 'cpu', broadcast_buffers=False)
    model.module.domain_adaptation.set_progress(0.5)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    target = dict(domain=1, **unlabelled_directives())
    data = batch(EMPTY, target, rank) if rank else batch(FULL, dict(domain=0), rank)
    for _ in range(2):
        names = step(model, optimizer, copy.deepcopy(data))
        assert same_on_all(names) and 'loss_domain_consistency' in names
    assert same_on_all([p.detach().double().sum().item() for p in model.parameters()])
    pairs = zip(model.module.named_parameters(), start.parameters())
    moved = {name.split('.')[0] for (name, after), before in pairs if not after.equal(before)}
    assert {'backbone', 'roi_head', 'domain_adaptation'} <= moved


def check_teacher(config: str, rank: int) -> None:
    """Of two processes one has nothing that a teacher completes; averages and statistics stay equal."""
    cfg = Config.fromfile(config).model
    torch.manual_seed(0)
    teacher = dict(burn_in=1, score_thr=0.01, student_view={})
    model = build_ddp(build_detector({**cfg, 'teacher': teacher}), 'cpu', broadcast_buffers=False)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    data = batch(FULL, {}, rank) if rank else batch(EMPTY, dict(pseudo_labels='complete'), rank)
    del data['gt_masks']
    for _ in range(3):
        names = step(model, optimizer, copy.deepcopy(data))
        assert same_on_all(names) and 'teacher_pseudo' in names
    state = {key: value for key, value in model.module.state_dict().items() if key.startswith('teacher.')}
    assert same_on_all({key: value.double().sum().item() for key, value in state.items()})
    assert float(model.module.teacher.calibration.counts['completed']) > 0
    parts = (model.module.teacher.model, model.module.teacher.calibration)
    assert len(state) == 1 + sum(len(part.state_dict()) for part in parts)  # and the number of steps


def check_collection(rank: int) -> None:
    part = [f'image {i}' for i in range(rank, 6, 2)]
    for results in (collect_results_cpu(part, 5), collect_results_gpu(part, 5)):
        assert results == ([f'image {i}' for i in range(5)] if rank == 0 else None)


def check_everything(rank: int, config: str) -> None:
    """What each of the two processes does."""
    random.seed(0)
    check_steps(config, rank)
    check_steps(config, rank, fixed_size=True)
    check_zoo(rank)
    check_adaptation(config, rank)
    check_teacher(config, rank)
    check_collection(rank)
    dist.barrier()
