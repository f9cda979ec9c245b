import numpy as np
import pytest
import torch

from mmdet.core.post_processing import (
    merge_aug_bboxes,
    merge_aug_masks,
    merge_aug_proposals,
    merge_aug_scores,
)


def meta(flip: bool = False, direction: str | None = None, scale: float = 2.0) -> dict:
    return dict(img_shape=(40, 80, 3), scale_factor=np.full(4, scale, np.float32), flip=flip, flip_direction=direction)


def test_merge_aug_bboxes_undoes_flip_and_scale():
    box = torch.tensor([[10.0, 4, 30, 20]])
    mirrored = torch.tensor([[80.0 - 30, 4, 80 - 10, 20]])
    metas = [[meta()], [meta(True, 'horizontal')]]
    torch.testing.assert_close(merge_aug_bboxes([box, mirrored], None, metas, None), box / 2)
    _, scores = merge_aug_bboxes([box, mirrored], [torch.tensor([[0.2]]), torch.tensor([[0.6]])], metas, None)
    torch.testing.assert_close(scores, torch.tensor([[0.4]]))


def test_merge_aug_proposals_suppresses_over_the_copies():
    first = torch.tensor([[10.0, 4, 30, 20, 0.6], [50, 20, 70, 38, 0.5]])
    second = torch.tensor([[50.0, 4, 70, 20, 0.9]])  # the first one, mirrored
    metas = [meta(), meta(True, 'horizontal')]
    merged = merge_aug_proposals([first, second], metas, dict(nms=dict(type='nms', iou_threshold=0.7), max_per_img=5))
    torch.testing.assert_close(merged, torch.tensor([[5.0, 2, 15, 10, 0.9], [25, 10, 35, 19, 0.5]]))
    with pytest.warns(DeprecationWarning):
        old = merge_aug_proposals([first, second], metas, dict(nms_thr=0.7, max_num=1))
    assert torch.equal(old, merged[:1])
    with pytest.raises(ValueError, match='max_num=1 contradicts max_per_img=2'), pytest.warns(DeprecationWarning):
        merge_aug_proposals([first], metas, dict(nms=dict(iou_threshold=0.7), max_num=1, max_per_img=2))


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('kind', ['array', 'tensor'])
def test_merge_aug_masks_undoes_the_flip(direction, kind):
    mask = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    axes = {'horizontal': -1, 'vertical': -2, 'diagonal': (-1, -2)}[direction]
    copies = [mask, np.flip(mask, axes).copy() + 4]
    copies = copies if kind == 'array' else [torch.from_numpy(c) for c in copies]
    metas = [[meta()], [meta(True, direction)]]
    np.testing.assert_allclose(np.asarray(merge_aug_masks(copies, metas, None)), mask + 2)
    np.testing.assert_allclose(np.asarray(merge_aug_masks(copies, metas, None, weights=[3, 1])), mask + 1)


def test_merge_aug_scores_of_tensors_and_arrays():
    pair = [np.array([1.0, 2.0]), np.array([3.0, 6.0])]
    assert merge_aug_scores(pair).tolist() == [2, 4]
    assert merge_aug_scores([torch.from_numpy(p) for p in pair]).tolist() == [2, 4]
    with pytest.raises(ValueError, match="flip_direction must be one of.*'up'"):
        merge_aug_masks([np.zeros((1, 1, 2, 2))], [[meta(True, 'up')]], None)
