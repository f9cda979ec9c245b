"""Compare detectors on a GPU with the same detectors on the CPU, and train each for some steps in fp32, fp16 and bf16.

    python benchmarks/gpu_check/detectors.py --out detectors.json
    python benchmarks/gpu_check/detectors.py --device cpu --models faster_rcnn

One line a detector: the greatest relative difference of a loss and of a parameter's gradient norm, the fraction of the
CPU's detections that the device found too, and for each precision whether the losses stayed finite, seconds a step and
host-device synchronisations of a step. All figures go to a JSON file. The status is 1 where a detector failed.
"""

import argparse
import contextlib
import copy
import json
import logging
import sys
import time
import traceback
import types
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from mmcv.parallel import DataContainer
from mmcv.runner import OptimizerHook
from torch import Tensor, nn

from mmdet.core.hook.amp_hook import AmpOptimizerHook
from mmdet.utils.running.log_buffer import DeviceLogBuffer
from mmdet.utils.util_distribution import build_dp

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]
from cases import CASES, Case, built, made_batch, number_of_classes  # noqa: E402 - beside this file
from host_syncs import device_synchronisations  # noqa: E402 - in the folder above

# in full float32 precision; what is beyond is a fault, or a decision (a tie, a threshold) that fell the other way
LOSS_TOLERANCE, GRADIENT_TOLERANCE, LEAST_FOUND = 1e-3, 2e-2, 0.97
SIZES = {'cuda': ((256, 320), 6), 'cpu': ((64, 96), 2)}  # px of the images, training steps


@contextlib.contextmanager
def same_draws() -> Iterator[None]:
    """Give every device the same random numbers."""

    def rand(*size: Any, device: Any = None, dtype: Any = None, **kwargs: Any) -> Tensor:
        size = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else tuple(size or kwargs['size'])
        steps = np.arange(1, int(np.prod(size)) + 1, dtype=np.float64)
        numbers = np.mod(0.5 + steps * 0.6180339887498949, 1).astype(np.float32)
        return torch.from_numpy(numbers).reshape(size).to(device=device, dtype=dtype)

    def randperm(n: int, device: Any = None, **kwargs: Any) -> Tensor:
        return torch.arange(n, device=device)

    with mock.patch.object(torch, 'rand', rand), mock.patch.object(torch, 'randperm', randperm):
        yield


def full_precision(wanted: bool) -> None:
    """Whether matrix products on a GPU keep all bits of float32."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not wanted


def losses_and_gradients(model: nn.Module, device: str, data: dict) -> tuple[dict[str, float], dict[str, float]]:
    """The log of one training step, and the norm of each parameter's gradient (-1: it has none)."""
    wrapped = build_dp(copy.deepcopy(model), device, device_ids=[0])
    wrapped.train()
    with same_draws():
        outputs = wrapped.train_step(copy.deepcopy(data), None)
        outputs['loss'].backward()
    trained = [(name, p.grad) for name, p in wrapped.module.named_parameters() if p.requires_grad]
    norms = {name: -1.0 if grad is None else grad.double().norm().item() for name, grad in trained}
    return {key: float(value) for key, value in outputs['log_vars'].items()}, norms


def compared(model: nn.Module, device: str, data: dict) -> dict[str, Any]:
    """Losses and gradients of the CPU against those of the device."""
    losses, norms = losses_and_gradients(model, 'cpu', data)
    other_losses, other_norms = losses_and_gradients(model, device, data)
    floor = 1e-3 * max(norms.values())
    relative = {key: abs(norms[key] - other_norms[key]) / max(norms[key], floor) for key in norms}
    worst = max(relative, key=relative.get)
    return dict(
        losses=losses,
        loss=max(abs(losses[key] - other_losses.get(key, np.inf)) / max(abs(losses[key]), 1e-3) for key in losses),
        gradient=relative[worst],
        worst_parameter=worst,
        without_gradient=[key for key, norm in other_norms.items() if norm < 0],
        keys_differ=sorted(set(losses) ^ set(other_losses)),
    )


def detections(model: nn.Module, device: str, data: dict) -> np.ndarray:
    """Detections in the first image: rows of class, x1, y1, x2, y2, score."""
    wrapped = build_dp(copy.deepcopy(model), device, device_ids=[0])
    wrapped.eval()
    metas = DataContainer([data['img_metas'].data[0][:1]], cpu_only=True)
    with torch.no_grad(), same_draws():
        result = wrapped(img=[data['img'].data[0][:1]], img_metas=[metas], return_loss=False, rescale=True)[0]
    by_class = result[0] if isinstance(result, tuple) else result
    return np.concatenate([np.c_[np.full(len(rows), i), rows] for i, rows in enumerate(by_class)])


def found_again(rows: np.ndarray, others: np.ndarray) -> float:
    """Fraction of detections that the others hold too: same class, corners within half a pixel, score within 0.002."""
    if not len(rows):
        return float(not len(others))
    gaps = np.abs(rows[:, None] - others[None])
    same = (gaps[..., 0] == 0) & (gaps[..., 1:5].max(-1, initial=0) < 0.5) & (gaps[..., 5] < 2e-3)
    return float(same.any(1).mean())


def trained(model: nn.Module, device: str, dtype: str, data: dict, steps: int) -> dict[str, Any]:
    """Some training steps with the optimizer hook of that precision."""
    wrapped = build_dp(copy.deepcopy(model), device, device_ids=[0])
    wrapped.train()
    optimizer = torch.optim.AdamW([p for p in wrapped.parameters() if p.requires_grad], lr=1e-4)
    runner = types.SimpleNamespace(
        model=wrapped, optimizer=optimizer, log_buffer=DeviceLogBuffer(), meta={}, outputs=None
    )
    clip, cuda = dict(max_norm=10), device == 'cuda'
    hook = OptimizerHook(clip) if dtype == 'float32' else AmpOptimizerHook(clip, loss_scale='dynamic', dtype=dtype)
    hook.before_run(runner)

    def step() -> float:
        start = time.perf_counter()
        runner.outputs = wrapped.train_step(copy.deepcopy(data), optimizer)
        runner.log_buffer.update(runner.outputs['log_vars'], 2)
        hook.after_train_iter(runner)
        if cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - start

    losses, seconds = [], []
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    for _ in range(steps - 1):
        seconds.append(step())
        losses.append(float(runner.outputs['log_vars']['loss']))
    with device_synchronisations() if cuda else contextlib.nullcontext(Counter()) as syncs:
        step()
    losses.append(float(runner.outputs['log_vars']['loss']))
    return dict(
        losses=losses,
        finite=bool(np.isfinite(losses).all()),
        seconds=float(np.median(seconds[1:] or seconds)),
        syncs=sum(syncs.values()) if cuda else None,
        lines=dict(syncs.most_common()),
        loss_scale=hook.loss_scaler.get_scale() if dtype == 'float16' else None,
        mb=torch.cuda.max_memory_allocated() / 2**20 if cuda else None,
    )


def checked(case: Case, device: str) -> dict[str, Any]:
    """All figures of one detector; ``faults`` says in words what is wrong."""
    size, steps = SIZES[device]
    full_precision(True)
    model = built(case)
    data = made_batch(number_of_classes(model), case.extras, size)
    row = compared(model, device, data)
    row['found'] = found_again(detections(model, 'cpu', data), detections(model, device, data))
    full_precision(False)
    for dtype in ('float32', 'float16', 'bfloat16'):
        row[dtype] = trained(model, device, dtype, data, steps)
    faults = [f'{dtype}: a loss is not finite' for dtype in ('float32', 'bfloat16') if not row[dtype]['finite']]
    faults += [f'no gradient: {row["without_gradient"][:3]}'] * bool(row['without_gradient'])
    faults += [f'keys of the log differ: {row["keys_differ"]}'] * bool(row['keys_differ'])
    faults += ['losses differ'] * (not row['loss'] <= LOSS_TOLERANCE)
    faults += ['gradients differ'] * (not row['gradient'] <= GRADIENT_TOLERANCE)
    faults += ['detections differ'] * (row['found'] < LEAST_FOUND)
    return dict(row, faults=faults)


def line(name: str, row: dict[str, Any]) -> str:
    """A row of the printed table."""
    if 'error' in row:
        return f'| {name} | {row["error"][:200]} |'
    steps = ' | '.join(
        f'{one["seconds"]:.3f} s'
        + f', {one["syncs"]} syncs' * (one['syncs'] is not None)
        + ', NOT FINITE' * (not one['finite'])
        for one in (row[dtype] for dtype in ('float32', 'float16', 'bfloat16'))
    )
    faults = '; '.join(row['faults']) or 'ok'
    return f'| {name} | {row["loss"]:.1e} | {row["gradient"]:.1e} | {row["found"]:.2f} | {steps} | {faults} |'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cuda', choices=list(SIZES))
    parser.add_argument('--models', nargs='+', default=list(CASES), choices=list(CASES))
    parser.add_argument('--out', default='detectors.json')
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    logging.disable(logging.WARNING)
    print('| detector | loss | gradient | found | fp32 | fp16 | bf16 | faults |\n' + '| --- ' * 8 + '|', flush=True)
    rows: dict[str, Any] = {}
    for name in args.models:
        try:
            rows[name] = checked(CASES[name], args.device)
        except Exception as error:  # noqa: BLE001 - the next detector is to be looked at whatever this one did
            where = traceback.format_exc().splitlines()[-16:]
            rows[name] = dict(error=f'{type(error).__name__}: {error}', where=where, faults=['error'])
        Path(args.out).write_text(json.dumps(rows, indent=1, default=str))
        print(line(name, rows[name]), flush=True)
        if args.device == 'cuda':
            torch.cuda.empty_cache()
    return int(any(row['faults'] for row in rows.values()))


if __name__ == '__main__':
    sys.exit(main())
