import pytest
import torch
from free_anchor_fsaf_fovea_heads_cases import GTS, LABELS, NO_LABELS, NOTHING, feats

SMALL = dict(type='AnchorGenerator', octave_base_scale=1, scales_per_octave=1, ratios=[1.0], strides=[8, 16])


@pytest.fixture
def fsaf(build_head):
    assigner = dict(type='CenterRegionAssigner', pos_scale=0.2, neg_scale=0.4, min_pos_iof=0.01)
    return build_head(
        'FSAFHead', dict(assigner=assigner, sampler=None), num_classes=3, stacked_convs=1, anchor_generator=SMALL,
        bbox_coder=dict(type='TBLRBBoxCoder', normalizer=4.0), reg_decoded_bbox=True,
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, reduction='none'),
        loss_bbox=dict(type='IoULoss', reduction='none'),
    )  # fmt: skip


def test_fsaf_mean_loss_of_each_object_by_hand(fsaf):
    cls_loss, reg_loss = torch.tensor([[1.0, 1], [2, 0], [0, 5], [7, 7]]), torch.tensor([0.5, 1, 0, 0])
    (losses,) = fsaf.collect_loss_level_single(cls_loss, reg_loss, torch.tensor([0, 0, 2, -1]), torch.arange(3))
    assert losses.tolist() == [2.75, 1e6, 5]


def test_fsaf_object_learns_on_one_level_only(fsaf):
    cls_loss, reg_loss = torch.tensor([[1.0, 1], [2, 3], [4, 5]]), torch.tensor([0.5, 1, 2])
    args = (cls_loss, reg_loss, torch.tensor([1, 0, -1]), torch.tensor([1, 0, 2]))
    loss_cls, loss_bbox, positive = fsaf.reweight_loss_single(*args, level=0, min_levels=torch.tensor([1, 0]))
    assert positive.tolist() == [True, False, False]
    assert loss_cls == 16 - 2  # of the second anchor only its own class is left out
    assert loss_bbox == 2.5


def test_fsaf_targets_leave_out_classes_of_surrounding_objects(fsaf, meta):
    anchors, flags = fsaf.get_anchors([(4, 4), (2, 2)], [meta(32, 32)], device='cpu')
    gts, labels = torch.tensor([[0.0, 0, 32, 32]]), torch.tensor([2])
    result = fsaf._get_targets_single(torch.cat(anchors[0]), torch.cat(flags[0]), gts, None, labels, meta(32, 32), 3)
    positive, left_out = result[0] < 3, (result[1] == 0).nonzero()
    assert positive.any()
    assert len(left_out)
    assert (left_out[:, 1] == 2).all()
    assert not positive[left_out[:, 0]].any()
    assert result[7].tolist() == torch.where(positive, 0, -1).tolist()


def test_fsaf_counts_positives_and_recall(fsaf, meta):
    losses = fsaf.loss(*fsaf(feats()), GTS, LABELS, [meta(32, 32)] * 2)
    assert losses['num_pos'] >= 1.5  # three objects in two images
    assert 0 <= losses['pos_recall'] <= 100


def test_fsaf_without_objects_is_finite_and_attached(fsaf, meta):
    losses = fsaf.loss(*fsaf(feats()), [NOTHING] * 2, [NO_LABELS] * 2, [meta(32, 32)] * 2)
    assert sum(losses['loss_bbox']) == losses['num_pos'] == 0
    sum(sum(losses[name]) for name in ('loss_cls', 'loss_bbox')).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fsaf.parameters())


def test_fsaf_distances_start_positive(fsaf):
    fsaf.init_weights()
    torch.testing.assert_close(fsaf.retina_reg.bias, torch.full((4,), 0.25))
    assert all((level >= 0).all() for level in fsaf(feats())[1])
