"""Run cases on the CPU and on the simulated device, in a process of its own: registering a device changes torch.

    python tests/sim_device/sim_worker.py faster_rcnn retinanet
    python tests/sim_device/sim_worker.py --write

One JSON line a case; ``--write`` runs all of them and lowers the budgets in host_syncs.json.
"""

import copy
import json
import logging
import random
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.distributed as dist

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ('tests/sim_device', 'tests/golden', 'benchmarks')]

from host_syncs import without_cpu_branches  # noqa: E402 - found by the line above, as those below
from sim_cases import CASES, FAMILIES  # noqa: E402
from sim_cuda import passing_for_cuda  # noqa: E402
from sim_models import Case, built, inference_batch, training_batch  # noqa: E402
from sim_syncs import count_syncs, nearest_line  # noqa: E402
from sim_tensor import SimTensor  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from mmdet.core.hook.amp_hook import AmpOptimizerHook, GradientCumulativeAmpOptimizerHook  # noqa: E402
from mmdet.utils.running.log_buffer import DeviceLogBuffer  # noqa: E402
from mmdet.utils.util_distribution import build_dp  # noqa: E402

BUDGETS = ROOT / 'tests/sim_device/host_syncs.json'


@contextmanager
def two_processes() -> Iterator[None]:
    """torch.distributed as if a second process did the same, over NCCL: tensors of the device alone can be sent."""

    def all_reduce(tensor: Tensor, op: Any = None, group: Any = None, async_op: bool = False) -> None:
        if not isinstance(tensor, SimTensor):
            raise RuntimeError(f'No backend type associated with device type cpu (all_reduce at {nearest_line()})')
        if op in (None, dist.ReduceOp.SUM):
            tensor.mul_(2)

    def all_gather_object(out: list, value: Any, group: Any = None) -> None:
        out[:] = [copy.deepcopy(value) for _ in out]

    fakes = dict(
        is_initialized=lambda: True, get_world_size=lambda group=None: 2, get_rank=lambda group=None: 0,
        get_backend=lambda group=None: 'nccl', all_reduce=all_reduce, all_gather_object=all_gather_object,
        barrier=lambda *args, **kwargs: None,
    )  # fmt: skip
    with ExitStack() as stack:
        for name, fake in fakes.items():
            stack.enter_context(mock.patch.object(dist, name, fake))
        yield


def seed() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def step(model: nn.Module, data: dict) -> dict[str, Any]:
    """Losses, gradients and synchronisations of one training step."""
    seed()
    model.zero_grad(set_to_none=True)
    with count_syncs() as syncs:
        outputs = model.train_step(data, None)
        outputs['loss'].backward()
    grads = {n: None if p.grad is None else p.grad.cpu() for n, p in model.module.named_parameters() if p.requires_grad}
    return dict(log={key: float(value) for key, value in outputs['log_vars'].items()}, grads=grads, syncs=syncs)


def results(model: nn.Module, data: dict) -> Any:
    seed()
    model.eval()
    with torch.no_grad():
        return model(return_loss=False, rescale=True, **data)


def differences(one: Any, other: Any, path: str = '') -> list[str]:
    """Where two nested values differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [found for key in one for found in differences(one[key], other[key], f'{path}.{key}')]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        return [found for i, pair in enumerate(zip(one, other)) for found in differences(*pair, f'{path}[{i}]')]
    one, other = (value.detach().cpu().numpy() if isinstance(value, Tensor) else value for value in (one, other))
    if isinstance(one, (np.ndarray, float)):
        one, other = np.asarray(one), np.asarray(other)
        # gradients of a tensor that is used several times are added in another order
        scale = np.abs(one).max(initial=1e-6) if one.dtype.kind == 'f' else 0
        same = one.shape == other.shape and np.allclose(one, other, rtol=0, atol=1e-5 * scale, equal_nan=True)
    else:
        same = one == other
    return [] if same else [f'{path}: {str(other)[:60]} for {str(one)[:60]}']


def run(case: Case, mixed_precision: bool) -> dict[str, Any]:
    """What is wrong, in words, and the host-device synchronisations of a training step and of inference."""
    plain = build_dp(built(case), 'cpu')
    wanted: dict[str, Any] = {}
    with without_cpu_branches():
        if case.tests:
            wanted['results'] = results(plain, inference_batch(case))
        plain.train()
        wanted['step'] = step(plain, training_batch(case))
    row: dict[str, Any] = dict(problems=[])
    with passing_for_cuda():
        model = build_dp(built(case), 'cuda', device_ids=[0])
        if case.tests:
            with count_syncs() as syncs:
                got = results(model, inference_batch(case))
            row.update(inference=syncs.total(), inference_lines=syncs.lines())
            row['problems'] += differences(wanted['results'], got, 'result')[:3]
        model.train()
        got = step(model, training_batch(case))
        row.update(training=got['syncs'].total(), training_lines=got['syncs'].lines())
        row['problems'] += differences(wanted['step']['log'], got['log'], 'log')[:3]
        row['problems'] += differences(wanted['step']['grads'], got['grads'], 'gradient')[:3]
        row['problems'] += [f'{name} has no gradient' for name, grad in got['grads'].items() if grad is None][:3]
        with two_processes():
            row['problems'] += without_objects(step(model, training_batch(case, objects=False)), got)
            if mixed_precision:
                row['problems'] += mixed_precision_problems(model, training_batch(case))
    return row


def without_objects(got: dict, usual: dict) -> list[str]:
    """A step in which no image has an object: the same keys, finite losses, a gradient for every parameter."""
    found = [f'without objects, {name} has no gradient' for name, grad in got['grads'].items() if grad is None][:3]
    found += [f'without objects, {name} is {value}' for name, value in got['log'].items() if not np.isfinite(value)]
    of_log = [line for line in got['syncs'].lines() if 'loss_log' in line]
    found += [f'the log of two processes synchronises: {of_log}'] * (len(of_log) > 1 or not of_log[0].startswith('1 '))
    keys = sorted(usual['log'].keys() ^ got['log'].keys())
    return found + [f'with or without objects alone: {keys}'] * bool(keys)


class Runner(SimpleNamespace):
    """As much of a runner as an optimizer hook sees."""

    def __init__(self, model: nn.Module, iterations: int) -> None:
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.001)
        super().__init__(model=model, optimizer=optimizer, log_buffer=DeviceLogBuffer(), meta={}, outputs=None)
        self.iter, self.max_iters, self._max_iters, self.logger = 0, iterations, iterations, logging.getLogger()

    def train(self, hook: Any, data: dict) -> None:
        """One iteration."""
        seed()
        self.outputs = self.model.train_step(data, self.optimizer)
        hook.after_train_iter(self)
        self.iter += 1


def weights(model: nn.Module) -> list[Tensor]:
    return [p.detach().cpu().clone() for p in model.parameters() if p.requires_grad]


def moved(before: list[Tensor], after: list[Tensor]) -> str | None:
    """None where weights changed and are finite, else in words what they are."""
    if not all(torch.isfinite(weight).all() for weight in after):
        return 'weights that are not finite'
    return None if any(not torch.equal(a, b) for a, b in zip(before, after)) else 'weights that are as before'


def mixed_precision_problems(model: nn.Module, data: dict) -> list[str]:
    """float16, float16 with an overflow, and bfloat16 with a step every second iteration."""
    problems, clip = [], dict(max_norm=10)

    def started(hook: Any, iterations: int = 1) -> tuple[Runner, list[Tensor]]:
        runner = Runner(model, iterations)
        hook.before_run(runner)
        model.zero_grad(set_to_none=True)
        return runner, weights(model)

    hook = AmpOptimizerHook(clip, loss_scale=dict(init_scale=1.0))
    runner, before = started(hook)
    with count_syncs() as syncs:
        runner.train(hook, data)
    own = [line for line in syncs.lines() if 'amp_hook' in line]
    # whether a gradient overflowed is all that the host needs to know
    problems += [f'float16: the hook synchronises: {own}'] * (len(own) > 1 or not own[0].startswith('1 item'))
    problems += [f'float16 gives {fault}' for fault in [moved(before, weights(model))] if fault]
    hook = AmpOptimizerHook(clip, loss_scale=dict(init_scale=2.0**100))
    runner, before = started(hook)
    runner.train(hook, data)
    problems += ['a step was made after an overflow'] * (moved(before, weights(model)) is None)
    problems += ['the scale did not fall after an overflow'] * (hook.loss_scaler.get_scale() != 2.0**99)
    hook = GradientCumulativeAmpOptimizerHook(cumulative_iters=2, dtype='bfloat16', grad_clip=clip)
    runner, before = started(hook, iterations=2)
    runner.train(hook, data)
    problems += ['a step was made before its iteration'] * (moved(before, weights(model)) is None)
    runner.train(hook, data)
    return problems + [f'bfloat16 gives {fault}' for fault in [moved(before, weights(model))] if fault]


def main() -> None:
    warnings.simplefilter('ignore')
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    write = sys.argv[1:] == ['--write']
    budgets = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    for name in list(CASES) if write else sys.argv[1:]:
        try:
            row = run(CASES[name], mixed_precision=name in FAMILIES)
        except Exception as error:  # noqa: BLE001 - the next case is to be run whatever this one did
            calls = [
                f'{f.filename.removeprefix(f"{ROOT}/").rpartition("site-packages/")[2]}:{f.lineno}'
                for f in traceback.extract_tb(error.__traceback__)
            ]
            row = dict(problems=[f'{type(error).__name__}: {error} at {calls[-9:]}'])
        print(json.dumps(dict(name=name, **row)), flush=True)
        known = budgets.get(name, {})
        counts = {key: min(row[key], known.get(key, row[key])) for key in ('training', 'inference') if key in row}
        budgets[name] = known | counts
    if write:
        lines = [f'  {json.dumps(name)}: {json.dumps(budgets[name])}' for name in CASES]
        BUDGETS.write_text('{\n' + ',\n'.join(lines) + '\n}\n')


if __name__ == '__main__':
    main()
