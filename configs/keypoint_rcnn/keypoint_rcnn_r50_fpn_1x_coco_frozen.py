# The RPN first, then the detector on a trunk and an RPN that stand still: python tools/train_stages.py THIS_FILE
_base_ = './keypoint_rcnn_r50_fpn_1x_coco.py'
stages = [
    dict(name='rpn', detector='RPN', options={'runner.max_epochs': 2, 'lr_config.step': [2]}),
    dict(name='detector', weights=dict(rpn=''), frozen=['backbone', 'neck', 'rpn_head'])
]
