_base_ = [
    '../_base_/models/retinanet_r50_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmcls.TIMMBackbone',
        model_name='tv_resnet50',
        features_only=True,
        pretrained=True,
        out_indices=(1, 2, 3, 4)))
optimizer = dict(lr=0.01)
custom_imports = dict(imports=['mmcls.models'], allow_failed_imports=False)
