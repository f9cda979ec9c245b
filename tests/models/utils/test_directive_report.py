"""Which parts of a model read which directives, and directives that nobody reads."""

import pytest
import torch

from mmdet.core.bbox.samplers.pseudo_sampler import PseudoSampler
from mmdet.models.builder import HEADS, build_detector
from mmdet.models.dense_heads.retina_head import RetinaHead
from mmdet.models.utils.directive_report import (
    check_directives_were_read,
    describe_readers,
    directive_readers,
    enabled_heads,
)

ASSIGNER = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4)
ONE_STAGE = dict(
    type='RetinaNet',
    backbone=dict(type='ResNet', depth=18, out_indices=(3,)),
    bbox_head=dict(
        type='RetinaHead', num_classes=2, in_channels=512, feat_channels=4, stacked_convs=1,
        anchor_generator=dict(type='AnchorGenerator', scales=[1], ratios=[1.0], strides=[32]),
    ),
    train_cfg=dict(assigner=ASSIGNER, allowed_border=-1, pos_weight=-1),
    test_cfg=dict(),
)  # fmt: skip


def test_single_stage_head_reads_the_weight_of_its_slot_and_the_flag_without_sampling():
    model = build_detector({**ONE_STAGE, 'directives': {}})
    assert isinstance(model.bbox_head.sampler, PseudoSampler) and not model.bbox_head.sampling
    readers = {reader.name: reader.says for reader in directive_readers(model)}
    assert readers == {
        'bbox_head': 'bbox_head.loss_weight, else rpn_head.loss_weight (negatives alike), '
        'labeled_classes or unlabeled_classes',
        'bbox_head.sampler': 'ignore_negatives',
    }
    meta = dict(img_shape=(64, 64, 3), pad_shape=(64, 64, 3))

    def losses(**fields):
        torch.manual_seed(0)
        objects = dict(gt_bboxes=[torch.tensor([[0.0, 0, 17, 17]])], gt_labels=[torch.tensor([1])])
        out = model.forward_train(torch.ones(1, 3, 64, 64), [{**meta, **fields}], **objects)
        return {name: sum(value).item() for name, value in out.items()}

    plain = losses()
    assert losses(**{'rpn_head.loss_weight': 3}) == pytest.approx({k: 3 * v for k, v in plain.items()})
    both = {'rpn_head.loss_weight': 3, 'bbox_head.loss_weight': 2}
    assert losses(**both) == pytest.approx({k: 2 * v for k, v in plain.items()})
    flagged = losses(ignore_negatives=1)
    assert flagged['loss_bbox'] == pytest.approx(plain['loss_bbox']) and flagged['loss_cls'] < plain['loss_cls']


def test_detector_over_points_reads_all_directives_by_the_one_switch():
    head = dict(type='FCOSHead', num_classes=2, in_channels=512, feat_channels=4, stacked_convs=1, strides=(32,),
                regress_ranges=((-1, 1e8),), norm_cfg=None)  # fmt: skip
    plain = {**ONE_STAGE, 'type': 'FCOS', 'bbox_head': head, 'train_cfg': None}
    assert 'bbox_head (FCOSHead)' in describe_readers(directive_readers(build_detector(plain)))
    model = build_detector({**plain, 'directives': {}})
    (reader,) = directive_readers(model)
    assert (reader.name, reader.kind) == ('bbox_head', 'FCOSHeadWithWeightPerImage')
    assert {'ignore_negatives', 'negatives', 'labeled_classes', 'bbox_head.negative_weight'} < set(reader.keys)

    def losses(**fields):
        objects = dict(gt_bboxes=[torch.tensor([[0.0, 0, 31, 31]])], gt_labels=[torch.tensor([1])])
        metas = [dict(img_shape=(64, 64, 3), pad_shape=(64, 64, 3), **fields)]
        out = model.forward_train(torch.ones(1, 3, 64, 64), metas, **objects)
        return {name: float(sum(value) if isinstance(value, list) else value) for name, value in out.items()}

    model.eval()  # of the backbone's norms the running numbers
    plain, weighted = losses(), losses(**{'bbox_head.loss_weight': 3, 'rpn_head.loss_weight': 2})
    assert weighted == pytest.approx({key: 3 * value for key, value in plain.items()}) and min(plain.values()) > 0
    ignoring = losses(ignore_negatives=1)
    assert 0 < ignoring.pop('loss_cls') < plain.pop('loss_cls') and ignoring == plain


def test_report_names_who_reads_and_who_does_not():
    plain = build_detector(ONE_STAGE)
    assert describe_readers(directive_readers(plain)) == (
        'directives read by bbox_head (RetinaHead), bbox_head.sampler (PseudoSampler): none'
    )
    assert describe_readers([]) == 'directives read by nobody'
    text = describe_readers(directive_readers(build_detector({**ONE_STAGE, 'directives': {}})))
    assert 'bbox_head.sampler: ignore_negatives' in text
    assert 'bbox_head: bbox_head.loss_weight, else rpn_head.loss_weight' in text


def test_head_that_reads_directives_itself_may_say_so():
    head = torch.nn.Linear(1, 1)
    head.directive_keys = ['ignore_negatives']
    (reader,) = directive_readers(torch.nn.Sequential(head))
    assert reader == ('0', 'Linear', ('ignore_negatives',), 'ignore_negatives')


def images_of(**fields):
    return [dict(img_shape=(64, 64, 3), pad_shape=(64, 64, 3), **fields)]


def checked(model, **fields):
    """The check after the losses of one image."""
    objects = dict(gt_bboxes=[torch.tensor([[0.0, 0, 17, 17]])], gt_labels=[torch.tensor([1])])
    model.forward_train(torch.ones(1, 3, 64, 64), images_of(**fields), **objects)
    return check_directives_were_read(model, images_of(**fields))


class NoTargetsWeighed(RetinaHead):
    """Makes its losses in a way of its own."""

    def loss(self, cls_scores, bbox_preds, *args, **kwargs):
        return dict(loss_cls=cls_scores[0].mean(), loss_bbox=bbox_preds[0].mean())


class NoScoresMasked(RetinaHead):
    """Weighs its targets and passes its scores on as they are."""

    def score_maps_for_loss(self, cls_scores, labels, label_weights, img_metas):
        return cls_scores, label_weights


def one_stage(kind):
    HEADS.register_module(name='Own', module=type('Own', (kind,), {}), force=True)
    return build_detector({**ONE_STAGE, 'directives': {}, 'bbox_head': dict(ONE_STAGE['bbox_head'], type='Own')})


def test_head_that_never_read_directives_is_named_with_the_line_to_add():
    model = one_stage(NoTargetsWeighed)
    with pytest.raises(RuntimeError) as error:
        checked(model, **{'rpn_head.loss_weight': 3})
    text = str(error.value)
    assert text.startswith('bbox_head (OwnWithWeightPerImage) never read rpn_head.loss_weight, which images of this')
    assert 'targets = weigh_targets(self, targets, image_of_row, img_metas)' in text and 'mask_scores' not in text
    assert 'docs/head_weights.md' in text
    assert checked(model) is False  # these images have none


def test_head_that_never_masked_its_scores_is_named_where_an_image_needs_it():
    model = one_stage(NoScoresMasked)
    assert checked(model, **{'bbox_head.loss_weight': 3}) is True
    with pytest.raises(RuntimeError, match=r'cls_score, label_weights = mask_scores\(self, cls_score, labels'):
        checked(model, labeled_classes=[1])


def test_heads_that_read_their_directives_pass_the_check():
    model = one_stage(RetinaHead)
    assert checked(model, **{'bbox_head.loss_weight': 3}) is True
    assert checked(model, labeled_classes=[1], negatives='none') is True
    assert checked(model, **{'mask_head.loss_weight': 3}) is False  # not this head's
    off = build_detector(ONE_STAGE)
    assert checked(off, **{'bbox_head.loss_weight': 3}) is False


def test_enabled_heads_by_the_name_that_each_reads_first():
    assert enabled_heads(build_detector(ONE_STAGE)) == {}
    heads = enabled_heads(build_detector({**ONE_STAGE, 'directives': {}}))
    assert {name: (head.names, head.ignores) for name, head in heads.items()} == {
        'bbox_head': (('bbox_head', 'rpn_head'), True)
    }
    weights_only = enabled_heads(build_detector({**ONE_STAGE, 'directives': dict(ignore_negatives=False)}))
    assert not weights_only['bbox_head'].ignores


def test_training_stops_after_the_first_step_with_directives_that_a_head_passed_over():
    model = one_stage(NoTargetsWeighed)
    data = dict(
        img=torch.ones(1, 3, 64, 64), gt_bboxes=[torch.tensor([[0.0, 0, 17, 17]])], gt_labels=[torch.tensor([1])]
    )
    model.train_step(dict(data, img_metas=images_of()), None)
    with pytest.raises(RuntimeError, match=r'bbox_head \(OwnWithWeightPerImage\) never read bbox_head.loss_weight'):
        model.train_step(dict(data, img_metas=images_of(**{'bbox_head.loss_weight': 3})), None)
    inherited = one_stage(RetinaHead)
    for fields in ({}, {'bbox_head.loss_weight': 3}, {}):
        assert inherited.train_step(dict(data, img_metas=images_of(**fields)), None)['loss'] > 0
