# torchvision.models.detection.retinanet_resnet50_fpn
_base_ = [
    '../_base_/models/retinanet_r50_fpn.py', '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py', '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(norm_cfg=dict(requires_grad=False)),
    neck=dict(add_extra_convs='on_output', relu_before_extra_convs=True),
    bbox_head=dict(
        # 32 px and up by thirds of an octave, cut to whole pixels
        anchor_generator=dict(
            _delete_=True,
            type='RoundedAnchorGenerator',
            level_sizes=[[32, 40, 50], [64, 80, 101], [128, 161, 203], [256, 322, 406], [512, 645, 812]],
            ratios=[0.5, 1.0, 2.0],
            strides=[8, 16, 32, 64, 128])),
    test_cfg=dict(max_per_img=300))
optimizer = dict(lr=0.01)
