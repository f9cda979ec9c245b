"""benchmarks/gpu_check with DEVICE=cpu: every part but the slow ones runs, and a part that fails is named."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'benchmarks/gpu_check'


def run(folder, **variables):
    env = {**os.environ, 'DEVICE': 'cpu', 'OUT': str(folder), 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'}
    command = ['bash', str(FOLDER / 'run.sh')]
    return subprocess.run(command, env=env | variables, capture_output=True, text=True, timeout=600)


def test_detectors_and_tools_as_a_process(tmp_path):
    done = run(tmp_path, PARTS='detectors tools', DETECTORS='retinanet', TOOL_RUNS='train test')
    assert done.returncode == 0, done.stdout
    assert 'failed: nothing' in done.stdout.splitlines()[-1]
    row = json.loads((tmp_path / 'detectors.json').read_text())['retinanet']
    assert row['faults'] == [] and row['loss'] == row['gradient'] == 0 and row['found'] == 1
    assert len(row['bfloat16']['losses']) == 2 and row['losses']['loss'] > 0
    assert 'bbox_mAP' in (tmp_path / 'train_logs.txt').read_text()


def test_a_part_that_fails_is_named_and_the_next_one_runs(tmp_path):
    broken = tmp_path / 'test_broken.py'
    broken.write_text('def test_broken():\n    assert False\n')
    done = run(tmp_path / 'out', PARTS='tests detectors', DETECTORS='nothing', TESTS=str(broken))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith('failed: detectors tests')
    assert 'FAILED' in done.stdout and 'test_broken' in done.stdout


def test_every_path_of_tests_that_it_runs_by_default_is_there():
    (paths,) = re.findall(r'^TESTS=\$\{TESTS:-([^}]+)\}', (FOLDER / 'run.sh').read_text(), flags=re.MULTILINE)
    assert len(paths.split()) > 5
    assert [path for path in paths.split() if not (ROOT / path).exists()] == []


@pytest.fixture(scope='module')
def detectors():
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location('detectors', FOLDER / 'detectors.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path
    for name in ('cases', 'host_syncs', 'speed_models'):
        sys.modules.pop(name, None)


def test_detections_are_found_again_within_half_a_pixel(detectors):
    rows = np.array([[0, 1, 2, 3, 4, 0.5], [1, 5, 5, 9, 9, 0.9]])
    moved = rows + [0, 0.4, 0, 0, 0, 0.001]
    assert detectors.found_again(rows, moved) == 1
    assert detectors.found_again(rows, moved + [[0] * 6, [0, 0.2, 0, 0, 0, 0]]) == 0.5
    assert detectors.found_again(rows, moved + [[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0.01]]) == 0
    assert detectors.found_again(rows, rows[:0]) == 0 and detectors.found_again(rows[:0], rows[:0]) == 1


def test_draws_are_the_same_on_every_device_and_end_with_the_context(detectors):
    with detectors.same_draws():
        assert torch.rand(2, 3).flatten()[:2].tolist() == pytest.approx([0.118034, 0.736068], abs=1e-6)
        assert torch.randperm(3).tolist() == [0, 1, 2]
        assert torch.rand((2,), dtype=torch.double).dtype == torch.double
    assert not torch.equal(torch.rand(4), torch.rand(4))


def test_made_objects_lie_on_the_images(detectors):
    data = detectors.made_batch(5, ('gt_masks', 'gt_keypoints'), (64, 96))
    for boxes, masks, points, meta in zip(
        *(data[key].data[0] for key in ('gt_bboxes', 'gt_masks', 'gt_keypoints', 'img_metas'))
    ):
        height, width = meta['img_shape'][:2]
        assert boxes.min() >= 0 and (boxes[:, 2:] <= torch.tensor([width, height])).all()
        assert masks.masks.any((1, 2)).all() and len(masks.masks) == len(boxes) == len(points)
        inside = (points[..., :2] >= boxes[:, None, :2]) & (points[..., :2] <= boxes[:, None, 2:])
        assert inside.all()
