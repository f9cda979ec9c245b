# RPN and everything in turn, two rounds: python tools/train_stages.py THIS_FILE
_base_ = './keypoint_rcnn_r50_fpn_1x_coco.py'
proposing = ['backbone', 'neck', 'rpn_head']
short = {'runner.max_epochs': 2, 'lr_config.step': [2]}
half = {'runner.max_epochs': 6, 'lr_config.step': [4, 5]}
stages = [
    dict(name='rpn', detector='RPN', options=short),
    dict(name='whole', weights=dict(rpn=''), options=half),
    dict(name='rpn_again', detector='RPN', weights=dict(whole=proposing), options=short),
    dict(name='whole_again', weights=dict(whole='', rpn_again=proposing), options=half)
]
