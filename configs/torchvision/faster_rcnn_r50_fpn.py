# torchvision.models.detection.fasterrcnn_resnet50_fpn, number by number: see docs/equivalence.md.
# Its weights for COCO were trained with eps=0 in batch norm: --cfg-options model.backbone.norm_cfg.eps=0.0
_base_ = [
    './_base_/two_stage_r50_fpn.py', '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py', '../_base_/default_runtime.py'
]
