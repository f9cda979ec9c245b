"""What benchmarks/speed.py makes of its arguments, and that both sides do the same work; its runs take long."""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_device_waits_as_a_process():
    command = [sys.executable, 'benchmarks/device_waits.py', '--device', 'cpu', '--models', 'faster_rcnn']
    done = subprocess.run([*command, '--size', '64x64', '--batch', '1'], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    usual, fixed = map(int, done.stdout.splitlines()[-1].split('|')[2:4])
    assert fixed == 1 and usual > 10
