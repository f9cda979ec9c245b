"""Pictures of completed labels, from steps of a small detector with a teacher."""

import copy
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmcv.parallel import DataContainer
from mmcv.runner.hooks import TensorboardLoggerHook

from mmdet.core.hook.diagnostics.teacher_pictures_hook import TeacherPicturesHook
from mmdet.core.visualization.completed_labels import COLOURS, shown
from mmdet.models.builder import build_detector
from mmdet.models.teacher.detections import read_result

sys.path.append(str(Path(__file__).resolve().parents[2] / 'models'))
from small_detectors import CONFIGS  # noqa: E402 - found by the line above

META = dict(
    img_shape=(32, 48, 3), pad_shape=(32, 48, 3), ori_shape=(32, 48, 3), scale_factor=np.ones(4, np.float32),
    flip=False, flip_direction=None, filename='a.png', img_norm_cfg=dict(mean=[0] * 3, std=[1] * 3, to_rgb=True),
)  # fmt: skip
FOUND = np.array([[1, 1, 13, 13, 0.9], [2, 16, 14, 30, 0.5]], np.float32)  # a pseudo object, an ignored one


def runner_of(tmp_path, **teacher):
    torch.manual_seed(0)
    model = build_detector(copy.deepcopy(CONFIGS['faster_rcnn']) | dict(teacher=teacher)).train()
    model.CLASSES = ('a', 'b', 'c')
    model.teacher._detect = lambda data: [read_result([FOUND, FOUND[:0], FOUND[:0]])] * len(data['img_metas'])
    writer, hook = SimpleNamespace(calls=[]), TensorboardLoggerHook()
    writer.add_image = lambda tag, picture, step, dataformats: writer.calls.append((tag, picture.shape, step))
    hook.writer = writer
    return SimpleNamespace(model=model, hooks=[hook], iter=0, rank=0, work_dir=str(tmp_path)), writer


def run(runner, hook, steps):
    boxes = [torch.tensor([[20.0, 2, 44, 30]]) for _ in range(3)]
    metas = [META, dict(META, pseudo_labels='complete'), dict(META, pseudo_labels='complete')]
    data = dict(
        img=torch.zeros(3, 3, 32, 48), img_metas=metas, gt_bboxes=boxes, gt_labels=[torch.tensor([1])] * 3
    )  # fmt: skip
    hook.before_run(runner)
    for runner.iter in range(steps):
        runner.data_batch = data | dict(gt_bboxes=DataContainer([boxes]))
        hook.before_train_iter(runner)
        runner.model.train_step(dict(data), None)
        hook.after_train_iter(runner)
    hook.after_run(runner)


@pytest.mark.parametrize('as_regions', [False, True])
def test_annotated_pseudo_and_ignored_boxes_have_their_colours(tmp_path, as_regions):
    settings = dict(weight=1.0, box_loss=1.0, ignore_as='regions') if as_regions else {}
    runner, writer = runner_of(tmp_path, burn_in=0, score_thr=0.7, **settings)
    run(runner, TeacherPicturesHook(interval=2, num_images=1), 4)
    names = sorted(path.name for path in (tmp_path / 'teacher').iterdir())
    assert names == ['iter_000002_0.png', 'iter_000004_0.png']
    assert [call[0::2] for call in writer.calls] == [('teacher/0', 2), ('teacher/0', 4)]
    picture = cv2.imread(str(tmp_path / 'teacher' / names[0]))
    assert picture.shape == (320 + 16, 480, 3) == writer.calls[0][1]  # ten times as large, and a caption
    for (x, y), kind in {(20, 10): 'annotated', (1, 5): 'pseudo', (2, 20): 'ignored'}.items():
        assert tuple(picture[16 + 10 * y, 10 * x]) == COLOURS[kind], kind
    assert not picture[16 + 155, 470].any()
    assert not runner.model._forward_pre_hooks


def test_a_model_without_a_teacher_is_refused(tmp_path):
    model = build_detector(copy.deepcopy(CONFIGS['faster_rcnn']))
    with pytest.raises(ValueError, match='TeacherPicturesHook: the model has no teacher'):
        TeacherPicturesHook().before_run(SimpleNamespace(model=model))


def test_images_are_shown_as_they_were_in_their_files():
    image = np.stack([np.full((2, 3), value, np.float32) for value in (1.0, 0.0, -1.0)])
    norm = dict(mean=[100, 50, 30], std=[10, 10, 40], to_rgb=True)
    assert shown(image, norm)[0, 0].tolist() == [0, 50, 110]  # blue, green, red
    assert shown(image, dict(norm, to_rgb=False))[0, 0].tolist() == [110, 50, 0]
    assert shown(image * 255, None)[1, 2].tolist() == [255, 0, 0]
