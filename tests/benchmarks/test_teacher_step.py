"""The measurement of a step with a teacher, on one small config."""

import importlib
from pathlib import Path

import pytest
from mmcv import Config
from process import python

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
    return importlib.import_module('teacher_step')


def test_steps_with_and_without_a_teacher_take_turns(script, monkeypatch, tmp_path):
    counts = ('--clean', 0, '--partial', 4, '--val', 0, '--size', 64)
    python(ROOT / 'tools/dataset_converters/make_shapes.py', tmp_path, *counts)
    cfg = Config.fromfile(str(ROOT / 'configs/demo/faster_rcnn_r18_fpn_teacher.py'))
    cfg.data.train.update(ann_file=f'{tmp_path}/annotations/partial.json', img_prefix=f'{tmp_path}/partial/')
    cfg.data.samples_per_gpu = 1
    cfg.data.train.pipeline[2].img_scale = (64, 64)
    taken, measured = [], script.seconds_of

    def seconds_of(model, *args):
        taken.append(model.module.teacher is not None)
        return measured(model, *args) * 0 + (3.0 if taken[-1] else 2.0)

    monkeypatch.setattr(script, 'seconds_of', seconds_of)
    assert script.measure(cfg, None, 1) == (2.0, 3.0)
    assert taken == [False, True] * 3
    cfg.model.teacher = None
    with pytest.raises(ValueError, match=r'the config has no model\.teacher'):
        script.measure(cfg, None, 1)
