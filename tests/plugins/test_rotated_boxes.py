"""Five numbers a box in both stages: anchors, overlaps, matches, samples, codes, RoI features, suppression."""

from harness import train_and_resume

PLUGIN = """
custom_imports = dict(imports=['rotated'], allow_failed_imports=False)
coder = dict(_delete_=True, type='DeltaXYWHACoder')
matching = dict(_delete_=True, type='RotatedAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4,
                iou_calculator=dict(type='RotatedOverlaps2D'))
model = dict(
    rpn_head=dict(type='RotatedRPNHead', bbox_coder=coder,
                  anchor_generator=dict(type='RotatedAnchorGenerator', ratios=[1.0])),
    roi_head=dict(
        type='RotatedRoIHead',
        bbox_roi_extractor=dict(_delete_=True, type='RotatedRoIExtractor', out_channels=16,
                                featmap_strides=[4, 8, 16, 32],
                                roi_layer=dict(type='RoIAlignRotated', output_size=7, sampling_ratio=2)),
        bbox_head=dict(type='RotatedBBoxHead', bbox_coder=coder)),
    train_cfg=dict(
        rpn=dict(assigner=matching, sampler=dict(type='RotatedRandomSampler')),
        rcnn=dict(assigner=matching, sampler=dict(type='RotatedRandomSampler'))))
pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', img_scale=(64, 64), keep_ratio=True), dict(type='RandomFlip', flip_ratio=0.5),
    dict(type='TurnBoxes'),
    dict(type='Normalize', mean=[100.0, 100.0, 100.0], std=[50.0, 50.0, 50.0]), dict(type='Pad', size_divisor=32),
    dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels'])]
data = dict(train=dict(type='RotatedDataset', pipeline=pipeline), val=dict(type='RotatedDataset'))
evaluation = dict(metric='recall')
"""


def test_rotated_detector_trains_evaluates_saves_and_resumes(tmp_path):
    model, entries, cfg = train_and_resume(tmp_path, PLUGIN)
    assert entries[-1]['boxes'] == 6 and 0 <= entries[-1]['recall'] <= 1
    assert all(entry['loss_rpn_bbox'] > 0 and entry['loss_bbox'] > 0 for entry in entries if entry['mode'] == 'train')
    # reads what the samplers of the first step have left
    assert all(res.pos_gt_bboxes.size(1) == 5 for res in model.roi_head.sampling_results)
    state = model.state_dict()
    assert state['rpn_head.rpn_reg.weight'].size(0) == 5 and state['roi_head.bbox_head.fc_reg.weight'].size(0) == 10
