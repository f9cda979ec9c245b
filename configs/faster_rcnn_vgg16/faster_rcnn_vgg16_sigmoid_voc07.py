# One score an anchor (k sigmoids) in the place of two (2k, softmax)
_base_ = './faster_rcnn_vgg16_voc07.py'
model = dict(rpn_head=dict(loss_cls=dict(use_sigmoid=True)))
