import copy
import pickle

import pytest
import torch

from mmdet.models.builder import build_detector


def test_last_objectness_and_image_are_kept_without_graph_and_batch(build, batch):
    model = build('faster_rcnn')
    assert model.last_objectness is model.last_image is None
    model(**batch)
    assert [tuple(level.shape) for level in model.last_objectness] == [(2, 1, 4, 6), (2, 1, 2, 3)]
    assert not any(level.requires_grad for level in model.last_objectness)
    assert model.last_image.equal(batch['img'][0])
    assert model.last_image.untyped_storage().nbytes() == batch['img'][0].numel() * 4
    copy.deepcopy(model)
    pickle.dumps(model.state_dict())


def test_without_first_stage_there_is_no_objectness(build, batch):
    model = build('fast_rcnn')
    model(**batch, proposals=[torch.tensor([[8.0, 8, 20, 20]])] * 2)
    assert (model.with_rpn, model.last_objectness) == (False, None)
    assert model.last_image is not None


def test_config_is_not_changed_and_builds_twice():
    cfg = dict(
        type='SingleStageDetector',
        backbone=dict(type='TwoConvs'),
        bbox_head=dict(type='RPNHead', in_channels=4, anchor_generator=dict(type='AnchorGenerator', scales=[2],
                       ratios=[1.0], strides=[8, 16])),
    )  # fmt: skip
    before = copy.deepcopy(cfg)
    for _ in range(2):
        with pytest.warns(UserWarning, match='pretrained is deprecated'):
            model = build_detector(cfg | dict(pretrained='some.pth'))
        assert model.backbone.pretrained == 'some.pth'
    assert cfg == before


def test_both_stages_get_their_sections_of_the_configs(build):
    model = build('faster_rcnn')
    assert model.rpn_head.train_cfg.sampler.num == 32
    assert model.rpn_head.test_cfg.max_per_img == 20
    assert model.roi_head.train_cfg.sampler.num == 16
    assert (model.with_rpn, model.with_roi_head, model.with_bbox, model.with_mask) == (True, True, True, False)


def test_proposals_of_the_test_config_where_training_has_none(build, batch):
    model = build('faster_rcnn')
    model.train_cfg.pop('rpn_proposal')
    model.test_cfg.rpn.max_per_img = 1
    model(**batch)
    # one proposal and the ground truth boxes
    assert [len(s.pos_inds) + len(s.neg_inds) for s in model.roi_head.sampling_results] == [3, 1]
