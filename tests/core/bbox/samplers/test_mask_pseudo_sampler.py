import torch
from samplers_cases import assigned

from mmdet.core.bbox import build_sampler


def test_mask_pseudo_sampler_pairs_masks():
    masks, gt_masks = torch.rand(3, 2, 2), torch.rand(2, 2, 2)
    result = build_sampler(dict(type='MaskPseudoSampler')).sample(assigned([2, 0, 1]), masks, gt_masks)
    assert torch.equal(result.pos_masks, masks[[0, 2]]) and torch.equal(result.pos_gt_masks, gt_masks[[1, 0]])
    assert torch.equal(result.masks, masks[[0, 2, 1]])
    empty = build_sampler(dict(type='MaskPseudoSampler')).sample(assigned([0], 0), masks[:1], gt_masks[:0])
    assert empty.pos_gt_masks.shape == (0, 2, 2)
