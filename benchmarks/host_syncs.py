"""Count the host-device synchronisations of a training step, with and without ``model.fixed_size``.

    python benchmarks/host_syncs.py
    python benchmarks/host_syncs.py --device cuda --size 800x1344 --batch 8

Without a GPU the calls are counted that would make the host wait for one, and branches that only a CPU takes are not
taken. With a GPU, torch's own synchronisation debugging counts; ``--list`` names the lines either way.
"""

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from unittest import mock

import mmdet.ops.nms  # noqa: F401 - the package has a function of that name
from mmdet.core.bbox.assigners import assign_result
from mmdet.ops import roi
from mmdet.utils.running.host_syncs import count_host_syncs

import torch

sys.path.insert(0, str(__file__).rsplit('/', 1)[0])
from speed_models import MODELS, Case, made_batch, own_side  # noqa: E402 - beside this file


@contextmanager
def without_cpu_branches() -> Iterator[None]:
    """Let a CPU take the branches of a GPU."""
    with (
        mock.patch.object(roi, '_roi_align_levels', lambda *args: None),
        mock.patch.object(roi, 'pays', lambda *args: False),
        mock.patch.object(assign_result, 'is_on_cpu', lambda tensor: False),
        mock.patch.object(sys.modules['mmdet.ops.nms'], '_LEAST_FOR_GROUPS', float('inf')),
    ):
        yield


@contextmanager
def device_synchronisations() -> Iterator[Counter[str]]:
    """Count what torch itself reports on a CUDA device."""
    found: Counter[str] = Counter()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        torch.cuda.set_sync_debug_mode('warn')
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode('default')
    found.update(f'{w.filename}:{w.lineno}' for w in seen if 'synchroniz' in str(w.message))


def count(step: Callable[[], object], device: str) -> Counter[str]:
    """Synchronisations of one step, after one that makes what is made once."""
    step()
    if device.startswith('cuda'):
        with device_synchronisations() as found:
            step()
        return found
    with without_cpu_branches():
        step()
        with count_host_syncs() as found:
            step()
    return found


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--models', nargs='+', default=list(MODELS), choices=list(MODELS))
    parser.add_argument('--size', default='320x320', help='HxW in px, multiples of 32')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--list', action='store_true', help='also name the lines')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    warnings.simplefilter('ignore')
    print('| training step | synchronisations | with fixed_size |\n| --- | --- | --- |')
    for model in args.models:
        case = Case(model, tuple(int(side) for side in args.size.split('x')), args.batch)
        batch = made_batch(case, args.device)
        found = [
            count(partial(side.train, batch), args.device)
            for side in (own_side(case, args.device), own_side(case, args.device, dict(fixed_size=True)))
        ]
        print(f'| {case.name} | ' + ' | '.join(str(sum(syncs.values())) for syncs in found) + ' |', flush=True)
        if args.list:
            for syncs in found:
                print(*(f'    {number} {line}' for line, number in syncs.most_common()), sep='\n')


if __name__ == '__main__':
    main()
