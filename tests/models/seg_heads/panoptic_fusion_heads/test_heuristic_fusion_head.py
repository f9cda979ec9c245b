import torch
from mmcv import ConfigDict
from panoptic_fusion_heads_cases import former, spans

from mmdet.models.builder import build_head
from mmdet.models.seg_heads.panoptic_fusion_heads.heuristic_fusion_head import lay_masks, put_objects
from mmdet.utils.running.host_syncs import count_host_syncs

CFG = dict(mask_thr_binary=0.5, mask_overlap=0.5, stuff_area_limit=2)


def heuristic(**changes):
    return build_head(
        dict(type='HeuristicFusionHead', num_things_classes=3, num_stuff_classes=2, test_cfg=ConfigDict(CFG | changes))
    )


def test_the_surest_mask_lies_on_top_and_covered_ones_are_left_out():
    masks = spans((0, 4), (2, 6), (3, 5), (9, 9))
    ids, labels = lay_masks(torch.tensor([0.5, 0.9, 0.3, 0.8]), torch.tensor([0, 1, 2, 0]), masks, 0.5)
    assert ids.tolist() == [[2, 2, 1, 1, 1, 1, 0, 0, 0, 0]]  # the third is covered, the last one empty
    assert labels.tolist() == [1, 0]


def test_a_mask_with_more_than_the_share_covered_is_left_out():
    masks, scores, labels = spans((0, 4), (1, 7)), torch.tensor([0.9, 0.5]), torch.tensor([0, 1])
    assert lay_masks(scores, labels, masks, 0.5)[1].tolist() == [0, 1]  # 3 of 6
    assert lay_masks(scores, labels, masks, 0.4)[1].tolist() == [0]


def test_the_number_of_host_device_syncs_does_not_grow_with_the_masks():
    counts = []
    for n in (1, 7):
        masks = spans(*((i, i + 2) for i in range(n)))
        with count_host_syncs() as syncs:
            lay_masks(torch.linspace(0, 1, n), torch.zeros(n).long(), masks, 0.5)
        counts.append(sum(syncs.values()))
    assert counts == [2, 2]  # the order, and the labels of those that were laid


def test_no_masks_lie_nowhere():
    ids, labels = lay_masks(torch.zeros(0), torch.zeros(0).long(), spans(), 0.5)
    assert ids.tolist() == [[0] * 10] and labels.shape == (0,)


def test_objects_without_a_pixel_have_no_number():
    out = put_objects(torch.full((1, 4), 9), torch.tensor([[0, 1, 3, 3]]), torch.tensor([5, 6, 7]))
    assert out.tolist() == [[9, 1005, 2007, 2007]]


def test_heuristic_map_by_hand():
    seg = torch.zeros(3, 1, 10)
    seg[0, :, :7], seg[1, :, 7], seg[2, :, 8:] = 1, 1, 1  # stuff 3, one pixel of stuff 4, things
    out = heuristic().simple_test(
        torch.tensor([[0, 0, 1, 1, 0.7], [0, 0, 1, 1, 0.9]]), torch.tensor([2, 0]),
        spans((1, 3), (3, 5)).float() * 0.6, seg,
    )  # fmt: skip
    assert out.tolist() == [[3, 2002, 2002, 1000, 1000, 3, 3, 5, 5, 5]]
    assert heuristic(stuff_area_limit=1).simple_test(
        torch.zeros(0, 5), torch.zeros(0).long(), torch.zeros(0, 1, 10), seg
    ).tolist() == [[3] * 7 + [4, 5, 5]]  # fmt: skip


def test_fusion_heads_learn_nothing():
    assert heuristic().forward_train(gt_masks=None) == {} and not heuristic().with_loss
    assert former().forward_train() == {}
