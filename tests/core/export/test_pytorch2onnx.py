"""What 2.x offered to scripts that exported a model by themselves."""

import cv2
import numpy as np
import pytest
import torch

from mmdet.core.export import (
    DeployBaseDetector,
    TensorRTDetector,
    build_model_from_cfg,
    generate_inputs_and_wrap_model,
    preprocess_example_input,
)

CONFIG = """
model = dict(
    type='RPN',
    backbone=dict(type='ResNet', depth=18, num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,),
                  base_channels=8, stem_channels=8, init_cfg=dict(type='Pretrained', checkpoint='not_there.pth')),
    neck=None, train_cfg=None,
    rpn_head=dict(type='RPNHead', in_channels=8, feat_channels=8,
                  anchor_generator=dict(type='AnchorGenerator', scales=[8], ratios=[1.0], strides=[4]),
                  bbox_coder=dict(type='DeltaXYWHBBoxCoder')),
    test_cfg=dict(rpn=dict(nms_pre=20, max_per_img=10, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0)))
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / 'config.py').write_text(CONFIG)
    cv2.imwrite(str(tmp_path / 'image.png'), np.full((30, 40, 3), (10, 20, 30), np.uint8))
    return tmp_path


def test_model_of_a_config_has_the_weights_of_the_checkpoint(files):
    made = build_model_from_cfg(str(files / 'config.py'), None, {'model.rpn_head.feat_channels': 4})
    assert made.rpn_head.feat_channels == 4 and not made.training
    torch.save(dict(state_dict=made.state_dict()), files / 'weights.pth')
    again = build_model_from_cfg(
        str(files / 'config.py'), str(files / 'weights.pth'), {'model.rpn_head.feat_channels': 4}
    )
    assert all(torch.equal(a, b) for a, b in zip(made.state_dict().values(), again.state_dict().values()))


def test_example_is_resized_and_normalised(files):
    settings = dict(input_shape=(1, 3, 64, 96), input_path=str(files / 'image.png'))
    normalise = dict(mean=[30, 20, 10], std=[1, 1, 2], to_rgb=True)
    image, meta = preprocess_example_input({**settings, 'normalize_cfg': normalise})
    assert image.shape == (1, 3, 64, 96) and image.abs().max() < 1e-5  # red, green, blue are 30, 20, 10
    assert meta['img_shape'] == (64, 96, 3) and meta['show_img'].shape == (64, 96, 3)
    assert preprocess_example_input(settings)[0][0, :, 0, 0].tolist() == [10, 20, 30]


def test_wrapped_model_takes_a_list_of_images(files):
    settings = dict(input_shape=(1, 3, 64, 96), input_path=str(files / 'image.png'))
    settings['normalize_cfg'] = dict(mean=[30, 20, 10], std=[1, 1, 1])
    model, images = generate_inputs_and_wrap_model(str(files / 'config.py'), None, settings)
    with torch.no_grad():
        (proposals,) = model(images)
    assert proposals.shape[1] == 5 and 0 < len(proposals) <= 10


def test_what_an_exported_model_does_not_offer_is_named():
    with pytest.raises(NotImplementedError, match='see docs/deployment.md'):
        TensorRTDetector('model.trt', ('a',), 0)
    detector = DeployBaseDetector(('a', 'b'), 0)
    assert detector.num_classes == 2
    with pytest.raises(NotImplementedError, match='is an exported model'):
        detector.forward_train()
    with pytest.raises(ValueError, match='3 augmented versions'):
        detector([None] * 3, [[]] * 3, return_loss=False)
