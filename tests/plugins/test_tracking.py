"""A detector within a model, RoI heads with features of other frames, pipelines over lists of frames."""

import numpy as np
import torch
from harness import train_and_resume

PLUGIN = """
custom_imports = dict(imports=['tracking'], allow_failed_imports=False)
model = dict(roi_head=dict(
    type='VideoRoIHead',
    bbox_head=dict(type='VideoBBoxHead', aggregator=dict(type='SimilarityAggregator', in_channels=32))))
model_wrapper = dict(type='VideoDetector', detector='${model}')
norm = dict(mean=[100.0, 100.0, 100.0], std=[50.0, 50.0, 50.0], to_rgb=True)
video_pipeline = [
    dict(type='SeqLoadImageFromFile'), dict(type='SeqLoadAnnotations', with_bbox=True),
    dict(type='SeqResize', img_scale=(64, 64), keep_ratio=True), dict(type='SeqRandomFlip'),
    dict(type='SeqNormalize', **norm), dict(type='SeqPad', size_divisor=32), dict(type='VideoBundle')]
data = dict(train=dict(type='FramesDataset', pipeline=video_pipeline, ref_img_sampler=dict(offsets=[-1, 1])))
"""


def test_video_detector_trains_evaluates_saves_and_resumes(tmp_path):
    model, entries, cfg = train_and_resume(tmp_path, PLUGIN)
    assert {'loss_rpn_cls', 'loss_cls', 'loss_bbox'} <= set(entries[0])
    assert any(name.startswith('detector.roi_head.bbox_head.aggregator') for name in model.state_dict())
    gradients = model.detector.roi_head.bbox_head.aggregator.ref_embed.weight.grad
    assert gradients is not None and gradients.abs().sum() > 0

    model.eval()
    img, meta = torch.rand(1, 3, 64, 64), dict(img_shape=(64, 64, 3), scale_factor=np.ones(4, np.float32))
    (first,) = model.simple_test(img, [meta], proposals=None)
    (second,) = model.simple_test(img, [meta], proposals=[torch.tensor([[4.0, 4, 40, 40]])], rescale=True)
    assert [len(result) for result in (first, second)] == [2, 2]
    assert first[0].shape[1] == 5
