"""What benchmarks/speed.py makes of its arguments, and that both sides do the same work; its runs take long."""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def speed():
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location('speed', ROOT / 'benchmarks/speed.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path
    sys.modules.pop('speed_models', None)


def test_options_of_the_model(speed):
    assert speed.read_options('dict(channels_last=True, fold_norm=True)') == dict(channels_last=True, fold_norm=True)
    for wrong in ('[1]', 'dict([1])', 'set()'):
        with pytest.raises(argparse.ArgumentTypeError, match='dict'):
            speed.read_options(wrong)


@pytest.mark.parametrize('args', [['--runs', '1', '--vs', 'py', '--growth'], ['--vs=py', '--runs', '1', '--growth']])
def test_other_environments_run_without_the_comparison(speed, args):
    assert speed.without_option(args, '--vs') == ['--runs', '1', '--growth']


def test_growth_changes_one_thing_at_a_time(speed):
    case = speed.Case('faster_rcnn', (64, 64))
    for grown in speed.growth_cases(case):
        assert sum(a != b for a, b in zip(case, grown)) <= 1
    assert len({grown.name for grown in speed.growth_cases(case)}) == 10


def test_host_syncs_as_a_process():
    command = [sys.executable, 'benchmarks/host_syncs.py', '--device', 'cpu', '--models', 'faster_rcnn']
    done = subprocess.run([*command, '--size', '64x64', '--batch', '1'], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    usual, fixed = map(int, done.stdout.splitlines()[-1].split('|')[2:4])
    assert fixed == 1 < usual


class Head(nn.Module):
    """Looks at the clock that it is handed instead of at boxes."""

    assigner = None

    def get_targets(self, clock: list, seconds: float) -> str:
        clock[0] += seconds
        return 'targets'


def test_targets_are_timed_within_the_step(speed):
    now, model = [0.0], nn.ModuleList([Head(), nn.Identity(), Head()])
    clock = speed.Clock('cpu', processor_time=False)
    clock.now = lambda: now[0]

    def train(batch):
        now[0] += 5
        assert [model[i].get_targets(now, seconds=i + 1) for i in (0, 2)] == ['targets'] * 2

    assert speed.targets_in_step(speed.Side(train, None, model), None, clock) == (4, 9)
    assert 'get_targets' not in vars(model[0])  # the head is as before


def test_boxes_of_all_sizes(speed):
    case = speed.Case('faster_rcnn', (800, 1344), batch=2, boxes=500)
    boxes = torch.stack(speed.boxes_of_all_sizes(case, 'cpu'))
    assert boxes.shape == (2, 500, 4) and boxes.min() >= 0 and (boxes[..., 2:] <= torch.tensor([1344, 800])).all()
    sides = boxes[..., 2:] - boxes[..., :2]
    assert sides.min() > 0 and sides.max() <= 400
    counts = [((sides > low) & (sides < 2 * low)).float().mean() for low in (16, 32, 64, 128)]
    assert max(counts) - min(counts) < 0.05  # an octave is a sixth of them


def test_overhead_counts_what_a_convolution_calls_as_the_convolutions(speed):
    # the operator copies its rows in another order before the product, and that is the convolution's own time
    conv, x = nn.Conv2d(8, 8, 3), torch.rand(1, 8, 64, 64).permute(0, 1, 3, 2)
    factor, peak = speed.overhead_and_memory(lambda: conv(x), 'cpu')
    assert factor == pytest.approx(1)
    assert peak > 8 * 62 * 62 * 4 / 2**20
    assert speed.overhead_and_memory(lambda: conv(x).exp().sum(), 'cpu')[0] > 1
