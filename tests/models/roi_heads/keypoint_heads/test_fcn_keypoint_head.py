"""The keypoint head: layers, targets, loss."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torchvision.models.detection.roi_heads import keypointrcnn_loss

from mmdet.models.roi_heads.keypoint_heads import FCNKeypointHead, KeypointTargets

SHAPE = dict(num_keypoints=5, num_convs=1, roi_feat_size=2, in_channels=3, conv_out_channels=4, skeleton='shape')


def head(**changes):
    return FCNKeypointHead(**{**SHAPE, **changes})


def positives(*counts):
    boxes = [torch.tensor([[4.0, 4, 20, 20]]).repeat(n, 1) + torch.arange(n)[:, None] for n in counts]
    return [SimpleNamespace(pos_bboxes=b, pos_assigned_gt_inds=torch.arange(len(b)) % 2) for b in boxes]


def points_of(num_gts):
    generator = torch.Generator().manual_seed(num_gts)
    xy = torch.rand(num_gts, 5, 2, generator=generator) * 24
    return torch.cat([xy, torch.full((num_gts, 5, 1), 2.0)], 2)


def test_head_names_and_shapes_of_parameters():
    shapes = {
        name: tuple(p.shape) for name, p in FCNKeypointHead(in_channels=8, conv_out_channels=6).named_parameters()
    }
    want = {f'convs.{i}.conv.weight': (6, 8 if i == 0 else 6, 3, 3) for i in range(8)}
    want |= {f'convs.{i}.conv.bias': (6,) for i in range(8)}
    assert shapes == want | {'upsample.weight': (6, 17, 4, 4), 'upsample.bias': (17,)}


def test_head_forward_is_its_layers_one_after_another():
    model, x = head(), torch.randn(2, 3, 2, 2)
    conv = model.convs[0].conv
    low = F.conv_transpose2d(F.relu(F.conv2d(x, conv.weight, conv.bias, padding=1)), model.upsample.weight,
                             model.upsample.bias, stride=2, padding=1)  # fmt: skip
    want = F.interpolate(low, scale_factor=2, mode='bilinear', align_corners=False)
    assert torch.allclose(model(x), want, atol=1e-6)
    assert model(x).shape == (2, 5, 8, 8) and model.heatmap_size == 8


def test_head_targets_of_a_batch_equal_those_of_its_images():
    model, sampled, keypoints = head(), positives(3, 0, 2), [points_of(2), points_of(0), points_of(2)]
    batch = model.get_targets(sampled, keypoints)
    alone = [model.get_targets([s], [k]) for s, k in zip(sampled, keypoints)]
    assert torch.equal(batch.positions, torch.cat([t.positions for t in alone]))
    assert torch.equal(batch.valid, torch.cat([t.valid for t in alone]))
    assert batch.positions.shape == (5, 5) and 0 < batch.valid.sum() < 25


def test_head_visible_loss_equals_torchvision():
    model, sampled, keypoints = head(), positives(3, 2), [points_of(2), points_of(2)]
    pred = torch.randn(5, 5, 8, 8)
    loss = model.loss(pred, model.get_targets(sampled, keypoints))['loss_keypoint']
    want = keypointrcnn_loss(
        pred, [s.pos_bboxes for s in sampled], keypoints, [s.pos_assigned_gt_inds for s in sampled]
    )
    assert torch.allclose(loss, want, rtol=1e-5)


def test_head_static_loss_is_divided_by_a_full_batch():
    pred, targets = torch.zeros(2, 5, 8, 8), KeypointTargets(torch.zeros(2, 5).long(), torch.eye(2, 5).bool())
    cfg = dict(sampler=dict(num=8, pos_fraction=0.25))
    loss = head(loss_normaliser='static').loss(pred, targets, num_images=3, train_cfg=cfg)['loss_keypoint']
    points, log_cells = 2, torch.tensor(64.0).log()
    assert torch.allclose(loss, points * log_cells / (3 * 8 * 0.25 * 5), rtol=1e-5)


def test_head_weight_of_a_roi_scales_its_share_and_no_other():
    model, pred = head(), torch.randn(2, 5, 8, 8, requires_grad=True)
    targets = KeypointTargets(torch.randint(0, 64, (2, 5)), torch.ones(2, 5).bool())
    plain, weighted = (
        torch.autograd.grad(model.loss(pred, targets, weights=w)['loss_keypoint'], pred)[0]
        for w in (None, torch.tensor([3.0, 1.0]))
    )
    assert torch.allclose(weighted[0], 3 * plain[0])
    assert torch.equal(weighted[1], plain[1])


@pytest.mark.parametrize('num_rois', [0, 2])
def test_head_loss_without_visible_points_is_an_attached_zero(num_rois):
    model = head()
    targets = KeypointTargets(torch.zeros(num_rois, 5).long(), torch.zeros(num_rois, 5).bool())
    loss = model.loss(model(torch.randn(num_rois, 3, 2, 2)), targets)['loss_keypoint']
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize(
    'changes, message', [(dict(loss_normaliser='visibel'), "'visible'"), (dict(num_keypoints=4), '5 points')]
)
def test_head_refuses_what_does_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        head(**changes)


def test_head_static_normaliser_without_a_counting_sampler_says_so():
    with pytest.raises(ValueError, match='pos_fraction'):
        targets = KeypointTargets(torch.zeros(1, 5).long(), torch.ones(1, 5).bool())
        head(loss_normaliser='static').loss(torch.zeros(1, 5, 8, 8), targets, 1, dict(sampler=dict(type='Pseudo')))
