import math

import pytest
import torch
from zoo_cases_zoo1 import CASES

from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.functional.corners.corners import areas, off_centre

META = dict(
    img_shape=(16, 16, 3), pad_shape=(16, 16, 3), batch_input_shape=(16, 16), scale_factor=[2.0] * 4,
    border=[0, 16, 0, 16],
)  # fmt: skip


# at stride 4: corners (0.5, 1.25) and (3.5, 2.75), centre (2, 2)
GTS, LABELS = [torch.tensor([[2.0, 5, 14, 11]])], [torch.tensor([1])]
KINDS = pytest.mark.parametrize('name', ['CornerHead', 'CentripetalHead'])


def build(name='CornerHead', **kwargs):
    torch.manual_seed(0)
    return HEADS.build(dict(CASES[name], type=name) | kwargs)


def targets_of(head, gts=GTS, labels=LABELS):
    return head.get_targets(gts, labels, (len(gts), 3, 4, 4), (16, 16, 3), True, True, True)


def at(targets, name, row, column):
    return targets[name][0, :, row, column].tolist()


def test_targets_by_hand():
    targets = targets_of(build())
    for corner, row, column in (('topleft', 1, 0), ('bottomright', 2, 3)):
        heatmap = targets[f'{corner}_heatmap']
        assert heatmap.eq(1).nonzero().tolist() == [[0, 1, row, column]]
    assert at(targets, 'topleft_offset', 1, 0) == [0.5, 0.25]
    assert at(targets, 'bottomright_offset', 2, 3) == [0.5, 0.75]
    assert at(targets, 'topleft_guiding_shift', 1, 0) == [2, 1]
    assert at(targets, 'bottomright_guiding_shift', 2, 3) == [1, 0]
    logs = [math.log(1.5), math.log(0.75)]
    assert at(targets, 'topleft_centripetal_shift', 1, 0) == pytest.approx(logs)
    assert at(targets, 'bottomright_centripetal_shift', 2, 3) == pytest.approx(logs)
    assert targets['corner_embedding'][0].tolist() == [[[1, 0], [2, 3]]]
    assert set(build().get_targets(GTS, LABELS, (1, 3, 4, 4), (16, 16, 3))) == {
        f'{corner}_{kind}' for corner in ('topleft', 'bottomright') for kind in ('heatmap', 'offset')
    }


def test_corner_on_the_border_is_in_the_last_cell():
    targets = targets_of(build(), [torch.tensor([[0.0, 0, 16, 16]])])
    assert at(targets, 'bottomright_offset', 3, 3) == [1, 1]


def test_losses_by_hand():
    head = build()
    maps = [torch.zeros(1, 3, 4, 4)] * 2 + [torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)]
    maps += [torch.zeros(1, 2, 4, 4)] * 2
    losses = head.loss(*([m] for m in maps), GTS, LABELS, [META])
    targets = targets_of(head)
    heat = sum(((1 - targets[f'{c}_heatmap']) ** 4).sum() + 1 for c in ('topleft', 'bottomright')) / 2
    # tags 0 and 1 are both 0.5 away from their mean; offsets are in the quadratic part of the smooth L1 loss
    off = (0.5**2 + 0.25**2 + 0.5**2 + 0.75**2) / 2 / 2
    wanted = dict(det_loss=float(heat) * math.log(2) / 4, off_loss=off, pull_loss=0.25 * 0.5, push_loss=0)
    assert {key: value[0].item() for key, value in losses.items()} == pytest.approx(wanted, rel=1e-5)


def test_weighted_tags_are_linear():
    head = HEADS.build(dict(CASES['CornerHead'], type='CornerHeadWithWeightPerImage'))
    maps = [torch.zeros(2, 3, 4, 4)] * 2 + [torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4)]
    maps += [torch.zeros(2, 2, 4, 4)] * 2
    metas = [{**META, 'bbox_head.loss_weight': 3.0}, {**META, 'bbox_head.loss_weight': 0.0}]
    losses = head.loss(*([m] for m in maps), GTS * 2, LABELS * 2, metas)
    assert losses['pull_loss'][0].item() == pytest.approx(3 * 0.25 * 0.5)


def detection_maps(tags=(1.0, 1.2)):
    tl, br = torch.full((1, 3, 4, 4), -9.0), torch.full((1, 3, 4, 4), -9.0)
    tl[0, 1, 1, 0], br[0, 1, 2, 3] = 2.0, 3.0
    embs = [torch.full((1, 1, 4, 4), tag) for tag in tags]
    return [tl], [br], *([m] for m in embs), [torch.full((1, 2, 4, 4), 0.5)], [torch.full((1, 2, 4, 4), 0.25)]


def test_detections_of_tags_by_hand():
    head = build(test_cfg=dict(CASES['CornerHead']['test_cfg'], distance_threshold=0.5))
    ((dets, labels),) = head.get_bboxes(*detection_maps(), [META])
    score = float((torch.tensor(2.0).sigmoid() + torch.tensor(3.0).sigmoid()) / 2)
    # corners (0.5, 1.5) and (3.25, 2.25) in cells of 4 px
    torch.testing.assert_close(dets[0], torch.tensor([2.0, 6, 13, 9, score]))
    assert labels[0] == 1
    ((scaled, _),) = head.get_bboxes(*detection_maps(), [META], rescale=True)
    assert scaled[0, :4].tolist() == [1, 3, 6.5, 4.5]
    ((shifted, _),) = head.get_bboxes(*detection_maps(), [dict(META, border=[3, 16, 1, 16])])
    assert shifted[0, :4].tolist() == [1, 3, 12, 6]
    ((others, _),) = head.get_bboxes(*detection_maps((1.0, 2.0)), [META])
    assert len(others) == 0 and others.shape == (0, 5)


def test_corners_of_two_classes_or_the_wrong_way_round_are_no_box():
    head = build(test_cfg=dict(CASES['CornerHead']['test_cfg'], corner_topk=1))
    tl, br, *others = detection_maps()
    ((dets, _),) = head.get_bboxes([tl[0].roll(1, dims=1)], br, *others, [META])
    assert len(dets) == 0
    ((dets, _),) = head.get_bboxes(br, tl, *others, [META])
    assert len(dets) == 0


def test_both_centres_must_lie_in_the_central_region():
    boxes = torch.tensor([0.0, 0, 48, 24]).expand(3, 4)  # its central region is (14, 7) to (34, 17)
    centres = torch.tensor([[20.0, 10, 28, 14], [20, 10, 35, 14], [13, 10, 28, 14]])
    distances, outside = off_centre(boxes, centres)
    assert distances.tolist()[0] == pytest.approx(32 / 200)
    assert outside.tolist() == [False, True, True]
    large, _ = off_centre(torch.tensor([[0.0, 0, 84, 84]]), torch.tensor([[40.0, 40, 44, 44]]))
    assert large.item() == pytest.approx(16 / 40**2, rel=1e-5)
    assert areas(torch.tensor([[3.0, 5, 1, 1]])).tolist() == [8]


def test_detections_of_shifts_by_hand():
    head = build('CentripetalHead', test_cfg=dict(CASES['CornerHead']['test_cfg'], distance_threshold=0.5))
    tl, br, _, _, tl_off, br_off = detection_maps()
    way = torch.tensor([1.375, 0.375]).log().view(1, 2, 1, 1).expand(1, 2, 4, 4)  # half of the box, in cells
    guides = [torch.zeros(1, 2, 4, 4)]
    arguments = tl, br, tl_off, br_off, guides, guides
    ((dets, labels),) = head.get_bboxes(*arguments, [way], [way], [META])
    assert dets[:, :4].tolist() == [[2, 6, 13, 9]] and labels.tolist() == [1]
    ((dets, _),) = head.get_bboxes(*arguments, [way + 1], [way], [META])
    assert len(dets) == 0


def test_decoding_wants_either_tags_or_shifts():
    with pytest.raises(ValueError, match='either tags or centripetal shifts'):
        build().decode_heatmap(*[torch.zeros(1, 3, 4, 4)] * 2, *[torch.zeros(1, 2, 4, 4)] * 2, img_meta=META)


@KINDS
def test_first_probabilities(name):
    head = build(name)
    head.init_weights()
    torch.testing.assert_close(head.tl_heat[0][-1].conv.bias.sigmoid(), torch.full((3,), 0.1))


def test_shifts_have_two_numbers():
    with pytest.raises(ValueError, match='centripetal_shift_channels=3'):
        build('CentripetalHead', centripetal_shift_channels=3)
