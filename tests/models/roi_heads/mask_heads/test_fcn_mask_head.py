import numpy as np
import pytest
import torch
from mmcv import ConfigDict

from mmdet.core.mask import BitmapMasks
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead


def small_head(**kwargs):
    return FCNMaskHead(**dict(dict(num_convs=1, in_channels=2, conv_out_channels=3, num_classes=3), **kwargs))


@pytest.mark.parametrize(
    'settings, shape',
    [
        (dict(), (2, 3, 8, 8)),
        (dict(class_agnostic=True), (2, 1, 8, 8)),
        (dict(upsample_cfg=dict(type='bilinear', scale_factor=3)), (2, 3, 12, 12)),
        (dict(upsample_cfg=dict(type='nearest', scale_factor=2), num_convs=0), (2, 3, 8, 8)),
        (dict(upsample_cfg=dict(type=None)), (2, 3, 4, 4)),
    ],
)
def test_forward_has_one_mask_for_each_class(settings, shape):
    head = small_head(**settings)
    head.init_weights()
    assert head(torch.randn(2, 2, 4, 4)).shape == shape


def test_init_weights_leaves_no_bias_in_the_last_layers():
    head = small_head()
    torch.nn.init.ones_(head.conv_logits.bias)
    head.init_weights()
    assert head.conv_logits.bias.abs().sum() == 0 and head.upsample.bias.abs().sum() == 0


def test_targets_are_the_masks_inside_the_boxes(sampled):
    result = sampled([1], 1)  # the box covers x 0..20, y 0..30
    mask = np.zeros((1, 60, 40), dtype=np.uint8)
    mask[:, :, 10:] = 1
    targets = small_head().get_targets([result], [BitmapMasks(mask, 60, 40)], ConfigDict(mask_size=4))
    assert targets.tolist() == [[[0, 0, 1, 1]] * 4]


@pytest.mark.parametrize('class_agnostic', [False, True])
def test_loss_takes_the_mask_of_the_right_class(class_agnostic):
    head = small_head(class_agnostic=class_agnostic)
    pred = torch.zeros(1, 1 if class_agnostic else 3, 2, 2, requires_grad=True)
    loss = head.loss(pred, torch.ones(1, 2, 2), torch.tensor([2]))['loss_mask']
    loss.sum().backward()
    torch.testing.assert_close(loss.sum(), torch.tensor(2.0).log())
    assert pred.grad.flatten(2).abs().sum(2).bool().tolist() == [[True] if class_agnostic else [False, False, True]]


def test_loss_without_positives_keeps_every_parameter():
    head = small_head()
    loss = head.loss(head(torch.zeros(0, 2, 4, 4)), torch.zeros(0, 8, 8), torch.zeros(0).long())['loss_mask']
    loss.backward()
    assert loss == 0 and all(p.grad is not None for p in head.parameters())


@pytest.mark.parametrize('rescale, shape, rows', [(True, (6, 10), 3), (False, (12, 20), 6)])
def test_seg_masks_of_the_original_image_or_of_the_input(rescale, shape, rows):
    pred = torch.full((2, 3, 4, 4), -9.0)
    pred[1, 2] = 9.0  # only detection 1, for its own class
    boxes = torch.tensor([[0.0, 0, 20, 12, 0.9], [0, 0, 20, 6, 0.8]])
    masks = small_head().get_seg_masks(
        pred, boxes, torch.tensor([0, 2]), ConfigDict(mask_thr_binary=0.5), (6, 10, 3), np.float32([2] * 4), rescale
    )
    assert [len(m) for m in masks] == [1, 0, 1]
    assert masks[0][0].shape == shape and masks[0][0].dtype == bool and not masks[0][0].any()
    assert masks[2][0][:rows, 1:-1].all() and not masks[2][0][rows + 1 :].any()


def test_seg_masks_of_an_array_are_scores_already():
    scores = np.full((1, 3, 4, 4), 0.5, dtype=np.float32)
    masks = small_head().get_seg_masks(
        scores, torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([1]), ConfigDict(mask_thr_binary=-1), (4, 4), 1.0, True
    )
    assert masks[1][0].dtype == np.uint8 and masks[1][0][1:3, 1:3].tolist() == [[127, 127]] * 2


def test_unknown_upsampling_and_init_cfg_are_refused():
    with pytest.raises(ValueError, match="got 'decnv'; did you mean 'deconv'"):
        small_head(upsample_cfg=dict(type='decnv', scale_factor=2))
    with pytest.raises(ValueError, match='initialises itself'):
        small_head(init_cfg=dict(type='Normal'))
