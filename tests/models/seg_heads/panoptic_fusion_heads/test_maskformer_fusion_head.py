import pytest
import torch
from panoptic_fusion_heads_cases import former, spans


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
