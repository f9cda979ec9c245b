"""Panoptic maps by hand. Pictures are one row high."""

import pytest
import torch
from mmcv import ConfigDict

from mmdet.models.builder import build_head
from mmdet.models.seg_heads.panoptic_fusion_heads.heuristic_fusion_head import lay_masks, put_objects
from mmdet.utils.running.host_syncs import count_host_syncs

CFG = dict(mask_thr_binary=0.5, mask_overlap=0.5, stuff_area_limit=2)


def heuristic(**changes):
    return build_head(
        dict(type='HeuristicFusionHead', num_things_classes=3, num_stuff_classes=2, test_cfg=ConfigDict(CFG | changes))
    )


def spans(*ranges, width=10):
    """Masks (n, 1, width) that are 1 on [a, b)."""
    columns = torch.arange(width)
    masks = [(columns >= a) & (columns < b) for a, b in ranges]
    return torch.stack(masks)[:, None] if masks else torch.zeros(0, 1, width, dtype=torch.bool)


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


def former(**test_cfg):
    return build_head(
        dict(type='MaskFormerFusionHead', num_things_classes=2, num_stuff_classes=1, test_cfg=ConfigDict(test_cfg))
    )


def logits(masks, high=9.0):
    return (masks.float() * 2 - 1) * high


def classes(*labels):
    """Logits (n, 4) that are sure of the labels; 3 is no object."""
    return torch.nn.functional.one_hot(torch.tensor(labels), 4) * 20.0


def test_queries_become_segments():
    # two dogs, sky, no object
    masks = logits(spans((0, 3), (3, 5), (5, 9), (0, 10)))
    out = former().panoptic_postprocess(classes(1, 1, 2, 3), masks)
    assert out.dtype == torch.int32
    assert out.tolist() == [[1001] * 3 + [2001] * 2 + [2] * 4 + [out[0, 9].item()]]


def test_queries_that_others_cover_and_unsure_ones_are_void():
    masks = torch.cat([logits(spans((0, 6), width=6)), logits(spans((0, 4), width=6), 12.0)])
    out = former(iou_thr=0.5).panoptic_postprocess(classes(0, 1), masks)
    assert out.tolist() == [[1001] * 4 + [3] * 2]  # two of six pixels are less than half
    unsure = torch.tensor([[1.0, 0, 0, 0]])
    assert former().panoptic_postprocess(unsure, masks[:1]).unique().tolist() == [3]


def test_low_pixels_are_void_if_asked():
    masks, cls = logits(spans((0, 6)), 2.0), classes(0)
    assert former(iou_thr=0.0).panoptic_postprocess(cls, masks).tolist() == [[1000] * 10]
    assert former(filter_low_score=True).panoptic_postprocess(cls, masks).tolist() == [[1000] * 6 + [3] * 4]


def test_instances_are_the_best_pairs_of_things():
    masks = logits(spans((2, 5), (5, 9)))
    labels, boxes, out = former(max_per_image=2).instance_postprocess(classes(1, 2), masks)
    assert labels.tolist() == [1] and out.tolist() == spans((2, 5)).tolist()  # the sky took a place
    assert boxes[0].tolist() == pytest.approx([2, 0, 5, 1, 1], abs=1e-3)


def test_results_have_the_size_of_the_image():
    cls, masks = classes(0, 2)[None], logits(spans((0, 4), (4, 10))).repeat(1, 8, 1)[None]
    meta = dict(img_shape=(6, 8, 3), ori_shape=(12, 16, 3))
    head = former(instance_on=True)
    (small,), (large,) = head.simple_test(cls, masks, [meta]), head.simple_test(cls, masks, [meta], rescale=True)
    assert small['pan_results'].shape == (6, 8) and large['pan_results'].shape == (12, 16)
    assert large['ins_results'][2].shape[1:] == (12, 16)
    assert set(former(panoptic_on=False).simple_test(cls, masks, [meta])[0]) == set()


def test_semantic_maps_are_refused():
    with pytest.raises(NotImplementedError, match='semantic_on'):
        former(semantic_on=True).simple_test(torch.zeros(0), torch.zeros(0), [])
    with pytest.raises(NotImplementedError, match='semantic_on'):
        former().semantic_postprocess(torch.zeros(0), torch.zeros(0))
