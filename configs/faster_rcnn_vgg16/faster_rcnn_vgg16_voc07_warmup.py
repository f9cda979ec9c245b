# End to end, after a warm-up of the RPN: python tools/train_stages.py THIS_FILE
_base_ = './faster_rcnn_vgg16_voc07.py'
stages = [
    dict(name='rpn', detector='RPN', options={'runner.max_iters': 10000, 'lr_config.step': [10000]}),
    dict(name='whole', weights=dict(rpn=''))
]
