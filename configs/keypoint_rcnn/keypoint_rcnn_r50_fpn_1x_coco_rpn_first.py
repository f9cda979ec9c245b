# The RPN first, then everything: python tools/train_stages.py THIS_FILE
_base_ = './keypoint_rcnn_r50_fpn_1x_coco.py'
stages = [
    dict(name='rpn', detector='RPN', options={'runner.max_epochs': 2, 'lr_config.step': [2]}),
    dict(name='whole', weights=dict(rpn=''))
]
