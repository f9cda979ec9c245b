"""Teacher and student, images with and without labels in one batch, and a training loop of the project's own."""

import json

import torch
from harness import read_config

from mmdet.models import build_detector

PLUGIN = """
custom_imports = dict(imports=['semi_supervised'], allow_failed_imports=False)
model_wrapper = dict(
    type='TeacherStudent', model='${model}',
    train_cfg=dict(pseudo_label_score_thr=0.01, unsup_weight=0.5), test_cfg=dict(inference_on='student'))
norm = dict(mean=[100.0, 100.0, 100.0], std=[50.0, 50.0, 50.0], to_rgb=True)
def_end = [
    dict(type='Normalize', **norm), dict(type='Pad', size_divisor=32), dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'],
         meta_keys=('filename', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip', 'tag'))]
sup_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(64, 64)), dict(type='RandomFlip', flip_ratio=0.5), dict(type='MarkTag', tag='sup'),
    *def_end]
weak = [dict(type='Resize', img_scale=(64, 64)), dict(type='RandomFlip', flip_ratio=0.0),
        dict(type='MarkTag', tag='unsup_teacher'), *def_end]
strong = [dict(type='Resize', img_scale=(64, 64)), dict(type='RandomFlip', flip_ratio=1.0),
          dict(type='BrightnessTransform', level=5, prob=1.0), dict(type='MarkTag', tag='unsup_student'), *def_end]
unsup_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True), dict(type='NoBoxes'),
    dict(type='MultiBranch', weak=weak, strong=strong)]
source = dict(type='CocoDataset', classes=('red', 'green'), ann_file='${data_root}/ann.json',
              img_prefix='${data_root}/img/', filter_empty_gt=False)
data = dict(
    by_source=[1, 2],
    train=dict(_delete_=True, type='LabelledAndNot', sup=dict(pipeline=sup_pipeline, **source),
               unsup=dict(pipeline=unsup_pipeline, **source)))
custom_hooks = [dict(type='MeanTeacher', momentum=0.5)]
"""


def log_of(work_dir, steps):
    lines = (work_dir / f'until_{steps}.log.json').read_text().splitlines()
    return [json.loads(line) for line in lines][1:]


def test_teacher_and_student_train_evaluate_save_and_resume(tmp_path):
    cfg = read_config(tmp_path, PLUGIN)
    assert cfg.model.type == 'TeacherStudent' and cfg.model.model.type == 'FasterRCNN'
    cfg.work_dir = str(tmp_path / 'work')
    from semi_supervised.train import train

    torch.manual_seed(0)
    model = build_detector(cfg.model)
    model.init_weights()
    start = {name: value.clone() for name, value in model.state_dict().items()}
    runner = train(model, cfg, 2)
    names = {'sup_loss_cls', 'sup_loss_rpn_bbox', 'unsup_loss_cls', 'unsup_loss_rpn_cls', 'loss', 'ema_momentum'}
    entries = log_of(tmp_path / 'work', 2)
    assert [e['mode'] for e in entries] == ['train', 'train', 'val']
    assert all(names <= set(e) for e in entries[:2]) and 'bbox_mAP' in entries[2]
    assert runner.iter == 2

    ours = model.state_dict()
    weight = 'backbone.layer4.0.conv1.weight'
    assert not torch.equal(ours[f'student.{weight}'], start[f'student.{weight}'])
    # the first student is the teacher's start; then half of each step's student is added
    assert not torch.equal(ours[f'teacher.{weight}'], ours[f'student.{weight}'])
    assert all(parameter.grad is None for parameter in model.teacher.parameters())

    again = build_detector(cfg.model)
    runner = train(again, cfg, 4, tmp_path / 'work/iter_2.pth')
    assert runner.iter == 4
    # mmcv's own runner writes checkpoints before it counts the step that they are made in
    assert [e['iter'] for e in log_of(tmp_path / 'work', 4) if e['mode'] == 'train'] == [2, 3, 4]
    result = again.eval()(
        [torch.rand(1, 3, 64, 64)],
        [[dict(img_shape=(64, 64, 3), ori_shape=(64, 64, 3), scale_factor=1.0, flip=False)]],
        return_loss=False,
    )
    assert len(result[0]) == 2
