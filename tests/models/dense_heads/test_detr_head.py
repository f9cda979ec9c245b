"""Heads of DETR and Deformable DETR."""

import copy
import math

import pytest
import torch

from mmdet.core.directives import HeadDirectives
from mmdet.models.builder import build_head
from mmdet.models.dense_heads.detr_head import DETRHead
from mmdet.models.utils.padding_mask import batch_mask, padding_mask
from mmdet.models.utils.transformers.deformable_detr_transformer import add_reference

ATTENTION = dict(type='MultiheadAttention', embed_dims=8, num_heads=2)
DEFORMABLE = dict(
    type='MultiScaleDeformableAttention', embed_dims=8, num_heads=2, num_levels=2, num_points=2, dropout=0.0
)
ENCODER_LAYER = dict(
    type='BaseTransformerLayer',
    ffn_cfgs=dict(type='FFN', feedforward_channels=8),  # mmcv's own default has 256 channels
    operation_order=('self_attn', 'norm', 'ffn', 'norm'),
)
DECODER_LAYER = dict(
    type='DetrTransformerDecoderLayer', feedforward_channels=8,
    operation_order=('self_attn', 'norm', 'cross_attn', 'norm', 'ffn', 'norm'),
)  # fmt: skip


def transformer(kind, encoder, decoder, attention, of_decoder):
    return dict(
        type=kind,
        encoder=dict(type=encoder, num_layers=1, transformerlayers=dict(ENCODER_LAYER, attn_cfgs=[attention])),
        decoder=dict(
            type=decoder, num_layers=2, return_intermediate=True,
            transformerlayers=dict(DECODER_LAYER, attn_cfgs=of_decoder),
        ),
    )  # fmt: skip


DETR = transformer('Transformer', 'DetrTransformerEncoder', 'DetrTransformerDecoder', ATTENTION, [ATTENTION, ATTENTION])
FOR_DEFORMABLE = dict(
    transformer(
        'DeformableDetrTransformer', 'DetrTransformerEncoder', 'DeformableDetrTransformerDecoder', DEFORMABLE,
        [ATTENTION, DEFORMABLE],
    ),
    num_feature_levels=2,
)  # fmt: skip
POSITIONS = dict(type='SinePositionalEncoding', num_feats=4, normalize=True)
FOCAL = dict(type='FocalLoss', use_sigmoid=True, loss_weight=2.0)
COMMON = dict(
    num_classes=3, num_query=5, positional_encoding=POSITIONS, train_cfg=dict(assigner=dict(type='HungarianAssigner'))
)
HEADS = dict(
    detr=dict(COMMON, type='DETRHead', in_channels=6, transformer=DETR),
    sigmoid=dict(COMMON, type='DETRHead', in_channels=6, transformer=DETR, loss_cls=FOCAL),
    deformable=dict(COMMON, type='DeformableDETRHead', in_channels=8, transformer=FOR_DEFORMABLE, loss_cls=FOCAL),
    refine=dict(
        COMMON, type='DeformableDETRHead', in_channels=8, transformer=FOR_DEFORMABLE, loss_cls=FOCAL,
        with_box_refine=True, sync_cls_avg_factor=True,
    ),
)  # fmt: skip
METAS = [
    dict(batch_input_shape=(32, 48), img_shape=(32, 40, 3), scale_factor=[2.0] * 4),
    dict(batch_input_shape=(32, 48), img_shape=(24, 48, 3), scale_factor=[2.0] * 4),
]
of_all = pytest.mark.parametrize('name', list(HEADS))


def make(name, **changes):
    torch.manual_seed(0)
    head = build_head(copy.deepcopy(HEADS[name]) | changes)
    head.init_weights()
    return head


def feats(head):
    torch.manual_seed(1)
    maps = [torch.randn(2, head.in_channels, 4, 6), torch.randn(2, head.in_channels, 2, 3)]
    return maps[:1] if type(head) is DETRHead else maps


def objects(*counts):
    boxes = torch.tensor([[2.0, 4, 20, 20], [10, 2, 30, 22], [1, 1, 9, 9]])
    return [boxes[:n] for n in counts], [torch.tensor([2, 0, 1])[:n] for n in counts]


@of_all
def test_training_gives_losses_of_all_layers_and_reaches_every_parameter(name):
    head = make(name)
    losses = head.forward_train(feats(head), METAS, *objects(3, 1))
    assert set(losses) == {p + n for p in ('', 'd0.') for n in ('loss_cls', 'loss_bbox', 'loss_iou')}
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


@of_all
def test_images_without_objects_train_to_nothing(name):
    head = make(name)
    losses = head.forward_train(feats(head), METAS, *objects(0, 0))
    sum(losses.values()).backward()
    assert all(value == 0 for key, value in losses.items() if 'cls' not in key)
    assert 0 < losses['loss_cls'].item() < 100
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


@of_all
def test_ignored_negatives_have_no_loss(name):
    head = make(name)
    head.sampler._sample_neg = lambda assigned, *args, **kwargs: assigned.gt_inds[:0]
    losses = head.forward_train(feats(head), METAS, *objects(0, 0))
    assert all(value == 0 for value in losses.values())


@of_all
def test_losses_are_linear_in_the_weight_of_an_image(name):
    head = make(name)
    head.directives = HeadDirectives(('bbox_head', 'rpn_head'), enabled=True)

    def losses(w):
        metas = [{**METAS[0], 'bbox_head.loss_weight': w}, METAS[1]]
        return {k: v.detach() for k, v in head.forward_train(feats(head), metas, *objects(3, 1)).items()}

    at0, at1, at4 = losses(0), losses(1), losses(4)
    for key in at0:
        assert at1[key] > at0[key] > 0, key
        torch.testing.assert_close(at4[key], at0[key] + 4 * (at1[key] - at0[key]), rtol=1e-4, atol=1e-5)


def test_targets_by_hand():
    head = make('detr')
    boxes, labels = objects(1, 0)
    pred = torch.tensor([[0.5, 0.5, 0.1, 0.1], [0.275, 0.375, 0.45, 0.5]])  # the second is the object
    out = head._get_target_single(torch.zeros(2, 4), pred, boxes[0], labels[0], METAS[0])
    assert out[0].tolist() == [3, 2] and out[1].tolist() == [1, 1]
    torch.testing.assert_close(out[2], torch.tensor([[0, 0, 0, 0], [11 / 40, 12 / 32, 18 / 40, 16 / 32]]))
    assert out[3].tolist() == [[0] * 4, [1] * 4] and out[4].tolist() == [1] and out[5].tolist() == [0]


def test_losses_by_hand():
    head = make('sigmoid')
    boxes, labels = objects(1, 0)
    pred = torch.tensor([[0.275 + 0.1, 0.375, 0.45, 0.5]])[None]
    cls = torch.zeros(1, 1, 3)
    _, loss_bbox, loss_iou = head.loss_single(cls, pred, boxes[:1], labels[:1], METAS[:1])
    assert loss_bbox.item() == pytest.approx(5 * 0.1, rel=1e-5)
    assert loss_iou.item() == pytest.approx(2 * (1 - 14 / 22), rel=1e-4)  # 18 px wide, 4 px off


@of_all
@pytest.mark.parametrize('rescale', [False, True])
def test_detections_lie_in_the_image_best_first(name, rescale):
    head = make(name, test_cfg=dict(max_per_img=4)).eval()
    for (dets, labels), meta in zip(head.simple_test(feats(head), METAS, rescale=rescale), METAS):
        assert dets.shape == (4, 5) and set(labels.tolist()) <= {0, 1, 2}
        limit = torch.tensor([meta['img_shape'][1], meta['img_shape'][0]] * 2) / (2 if rescale else 1)
        assert (dets[:, :4] >= 0).all() and (dets[:, :4] <= limit).all()
        assert dets[:, 4].tolist() == sorted(dets[:, 4].tolist(), reverse=True)


@of_all
def test_batch_equals_image_by_image(name):
    head = make(name).eval()
    maps = feats(head)
    both = head.simple_test(maps, METAS)
    for i in range(2):
        ((dets, _),) = head.simple_test([m[i : i + 1] for m in maps], METAS[i : i + 1])
        torch.testing.assert_close(dets, both[i][0], rtol=1e-3, atol=1e-3)


def test_sigmoid_heads_may_give_a_query_two_classes():
    logits, boxes = torch.tensor([[5.0, 4, -5], [-5, -5, -5]]), torch.rand(2, 4)
    dets, labels = make('sigmoid', test_cfg=dict(max_per_img=2))._get_bboxes_single(logits, boxes, (32, 40), [1] * 4)
    assert labels.tolist() == [0, 1] and torch.equal(dets[0, :4], dets[1, :4])
    logits = torch.tensor([[5.0, 4, -5, 0], [0, 1, 0, 9]])
    dets, labels = make('detr')._get_bboxes_single(logits, boxes, (32, 40), [1] * 4)
    assert labels.tolist() == [0, 1] and not torch.equal(dets[0, :4], dets[1, :4])


def test_masks_cover_the_padding():
    assert batch_mask(METAS, torch.device('cpu')).sum((1, 2)).tolist() == [32 * 8, 8 * 48]
    mask = padding_mask(METAS, (4, 6), torch.device('cpu'))
    assert mask[0].tolist() == [[False] * 5 + [True]] * 4
    assert mask[1].tolist() == [[False] * 6] * 3 + [[True] * 6]


def test_background_weighs_less():
    head = make('detr')
    assert head.loss_cls.class_weight == [1, 1, 1, 0.1] and head.bg_cls_weight == 0.1
    assert make('sigmoid').bg_cls_weight == 0


def test_old_checkpoints_load():
    head = make('detr')
    new = head.state_dict()
    old = {}
    for key, value in new.items():
        key = key.replace('decoder.post_norm.', 'decoder.norm.').replace('.ffns.0.', '.ffn.')
        old[key.replace('.attentions.0.', '.self_attn.').replace('.attentions.1.', '.multihead_attn.')] = value + 1
    assert set(old) != set(new)
    head.load_state_dict(old)
    assert all(torch.equal(head.state_dict()[key], value) for key, value in zip(new, old.values()))


def test_two_stages_learn_where_objects_are(monkeypatch):
    head = make('refine', as_two_stage=True)
    size = head.transformer.embed_dims * 2  # the real encoding has 512 numbers
    monkeypatch.setattr(
        head.transformer, 'get_proposal_pos_embed', lambda boxes: boxes.sigmoid().repeat(1, 1, size // 4)
    )
    head.transformer.two_stage_num_proposals = 5
    maps, (boxes, labels) = feats(head), objects(2, 1)
    losses = head.forward_train(maps, METAS, boxes, labels)
    assert {'enc_loss_cls', 'enc_loss_bbox', 'enc_loss_iou'} < set(losses)
    of_class_0 = head.forward_train(maps, METAS, boxes, [torch.zeros_like(x) for x in labels])
    torch.testing.assert_close(losses['enc_loss_cls'], of_class_0['enc_loss_cls'])
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    assert len(head.simple_test(maps, METAS)) == 2

    class Own(type(head)):
        def loss_single(self, cls, boxes, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore=None):  # as in 2.x
            return super().loss_single(cls, boxes, gt_bboxes, gt_labels, img_metas, gt_bboxes_ignore)

    head.__class__ = Own
    torch.testing.assert_close(head.forward_train(maps, METAS, boxes, labels)['enc_loss_cls'], losses['enc_loss_cls'])


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match='needs with_box_refine'):
        make('deformable', as_two_stage=True)
    with pytest.raises(ValueError, match='num_feats must be half of the 8 channels, got 3'):
        make('detr', positional_encoding=dict(POSITIONS, num_feats=3))
    with pytest.raises(TypeError, match="DETRHead.*missing 1 required keyword-only argument: 'transformer'"):
        make('detr', transformer=None)
    with pytest.raises(ValueError, match='init_cfg must be None'):
        make('detr', init_cfg=dict(type='Normal'))
    for name in ('detr', 'deformable'):
        with pytest.raises(TypeError, match="does not take 'loss_ioux'; did you mean 'loss_iou'"):
            make(name, loss_ioux=dict(type='GIoULoss'))
    with pytest.raises(ValueError, match='makes no proposals'):
        make('detr').forward_train([], [], [], proposal_cfg=dict())


def test_boxes_of_a_layer_are_relative_to_those_of_the_one_before(monkeypatch):
    head, found = make('refine').eval(), []
    for branch in head.reg_branches:
        torch.nn.init.normal_(branch[-1].weight)
    run = head.transformer.forward
    monkeypatch.setattr(head.transformer, 'forward', lambda *args, **kw: found.append(run(*args, **kw)) or found[-1])
    boxes = head(feats(head), METAS)[1]
    states, first, moved = found[0][:3]
    for layer, reference in enumerate((first, moved[0])):
        pred = head.reg_branches[layer](states[layer].transpose(0, 1))
        torch.testing.assert_close(boxes[layer], add_reference(pred, reference).sigmoid())


def test_background_counts_as_much_as_it_weighs():
    (boxes, labels), logits = objects(0), torch.zeros(1, 20, 4)
    loss_cls, _, _ = make('detr').loss_single(logits, torch.rand(1, 20, 4), boxes, labels, METAS[:1])
    assert loss_cls.item() == pytest.approx(20 * 0.1 * math.log(4) / (20 * 0.1), rel=1e-5)
