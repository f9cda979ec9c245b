# The 4-step alternating training of the paper: python tools/train_stages.py THIS_FILE
_base_ = './faster_rcnn_vgg16_voc07.py'
detector_schedule = {'runner.max_iters': 40000, 'lr_config.step': [30000]}
stages = [
    # 1. RPN, from ImageNet
    dict(name='rpn', detector='RPN'),
    # 2. detector on the stored proposals of 1, from ImageNet as well: the two share nothing yet
    dict(name='detector', detector='FastRCNN', proposals='rpn', options=detector_schedule),
    # 3. RPN on the convolutions of the detector, which are shared and frozen from here on
    dict(name='rpn_shared', detector='RPN', weights=dict(detector='backbone'), frozen='backbone'),
    # 4. the detector's own layers on the stored proposals of 3
    dict(
        name='detector_shared',
        detector='FastRCNN',
        proposals='rpn_shared',
        weights=dict(detector=''),
        frozen='backbone',
        options=detector_schedule)
]
