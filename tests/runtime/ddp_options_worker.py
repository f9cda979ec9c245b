"""Runs on each of two processes: training steps with every option of ``mmdet/models/options/acceleration.py``."""

import torch
import torch.distributed as dist
from ddp_worker import EMPTY, FULL, batch, same_on_all, step
from mmcv import Config

from mmdet.models import build_detector
from mmdet.utils import build_ddp

NORM = dict(mean=[120.0, 115, 100], std=[58.0, 57, 56], to_rgb=True)
COMPILED = dict(parts=['backbone', 'neck'], backend='eager')
OPTIONS = {
    'input_norm': dict(input_norm=NORM),
    'channels_last': dict(channels_last=True),
    'fold_norm': dict(fold_norm=True),
    'fixed_size': dict(fixed_size=True),
    'compile': dict(compile=COMPILED),
    'all': dict(input_norm=NORM, channels_last=True, fold_norm=True, fixed_size=True, compile=COMPILED),
}


def trained(model, given: dict) -> tuple[dict[str, float], dict[str, float]]:
    """Two steps; the log of the first one and sums of all weights after the second."""
    model = build_ddp(model, 'cpu', broadcast_buffers=False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.01)
    model.train()
    torch.manual_seed(dist.get_rank())
    logs = [dict(model.train_step(given, optimizer)['log_vars'])]
    torch.manual_seed(dist.get_rank())
    for _ in range(2):  # a second step fails where a parameter got no gradient in the first
        assert same_on_all(step(model, optimizer, given))
    return logs[0], {name: p.detach().double().sum().item() for name, p in model.module.named_parameters()}


def check_option(config: str, name: str, options: dict) -> None:
    """Every process ends with the same weights, and with those of the plain model where the draws are the same."""
    cfg = Config.fromfile(config).model
    cfg.backbone.norm_eval = True  # statistics that stand still can be folded
    torch.manual_seed(0)
    plain = build_detector(cfg)
    fast = build_detector({**cfg, **options})
    fast.load_state_dict(plain.state_dict())
    before = {key: p.detach().double().sum().item() for key, p in plain.named_parameters()}
    rank = dist.get_rank()
    given = batch(EMPTY if rank else FULL, {}, rank)
    del given['gt_masks']
    given['img'].data[0].mul_(255).round_()
    as_float = dict(given)
    if 'input_norm' in options:
        images = given['img'].data[0]
        mean, std = (torch.tensor(NORM[key]).view(-1, 1, 1) for key in ('mean', 'std'))
        as_float['img'] = type(given['img'])([(images.flip(1) - mean) / std], stack=True)
        given = dict(given, img=type(given['img'])([images.to(torch.uint8)], stack=True))
    log, weights = trained(fast, given)
    assert same_on_all(weights), name
    assert sum(abs(weights[key] - before[key]) for key in before) > 0, name
    if 'fixed_size' not in options:
        wanted_log, wanted = trained(plain, as_float)
        for key, value in wanted_log.items():
            assert abs(log[key] - value) < 1e-4 * max(abs(value), 1), (name, key, log[key], value)
        for key, value in wanted.items():
            assert abs(weights[key] - value) < 1e-3 * max(abs(value), 1), (name, key, weights[key], value)


def check_options(rank: int, config: str) -> None:
    """What each of the two processes does."""
    for option, keys in OPTIONS.items():
        check_option(config, option, keys)
    dist.barrier()
