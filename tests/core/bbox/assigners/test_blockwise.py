"""Assignment block by block gives what the matrix of all overlaps gives."""

import pytest
import torch

import mmdet.core.bbox.assigners.blockwise as blockwise
import mmdet.core.bbox.assigners.max_iou_assigner as module
from mmdet.core.bbox.assigners import MaxIoUAssigner
from mmdet.core.bbox.assigners.blockwise import best_overlaps


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blockwise, 'BLOCK', 16)


def boxes(count: int, seed: int) -> torch.Tensor:
    """Whole numbers on a coarse grid, so that many overlaps are equal, sorted from top to bottom."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 25, (count, 2), generator=generator) * 4.0
    found = torch.cat([corners, corners + 4.0 * torch.randint(1, 7, (count, 2), generator=generator)], 1)
    return found[found[:, 1].argsort()]


def by_matrix(assigner: MaxIoUAssigner, anchors, gts, ignore, labels):
    return assigner.assign_or_ignore(assigner.iou_calculator(gts, anchors), anchors, ignore, labels, anchors.device)


@pytest.mark.parametrize('assign_all', [True, False])
@pytest.mark.parametrize('ignore', [None, torch.tensor([[40.0, 40, 64, 60]])])
@pytest.mark.parametrize(('min_pos', 'negative'), [(0.3, 0.3), (0.0, (0.1, 0.4))])
def test_equals_the_matrix(small_blocks, monkeypatch, assign_all, ignore, min_pos, negative):
    assigner = MaxIoUAssigner(0.7, negative, min_pos, assign_all, ignore_iof_thr=0.5)
    anchors, gts, labels = boxes(300, 0), boxes(12, 1), torch.arange(12)
    expected = by_matrix(assigner, anchors, gts, ignore, labels)
    monkeypatch.setattr(module, 'LEAST_PAIRS', 0)
    assert assigner._goes_by_blocks(gts, anchors)
    monkeypatch.setattr(MaxIoUAssigner, 'assign_or_ignore', None)  # the matrix is out of reach
    result = assigner._assign_by_blocks(anchors, gts, ignore, labels, anchors.device)
    assert len(expected.gt_inds.unique()) > 5 and (ignore is None or -1 in expected.max_overlaps)
    for name in ('gt_inds', 'max_overlaps', 'labels'):
        assert torch.equal(getattr(result, name), getattr(expected, name)), name


def test_a_gt_without_overlap_is_left_to_the_matrix(small_blocks, monkeypatch):
    anchors, gts = boxes(300, 0), torch.cat([boxes(5, 1), torch.tensor([[900.0, 900, 910, 910]])])
    assigner = MaxIoUAssigner(0.7, 0.3, 0.0)
    assert assigner._assign_by_blocks(anchors, gts, None, None, anchors.device) is None
    monkeypatch.setattr(module, 'LEAST_PAIRS', 0)
    assert torch.equal(assigner.assign(anchors, gts).gt_inds, by_matrix(assigner, anchors, gts, None, None).gt_inds)
    careful = MaxIoUAssigner(0.7, 0.3, 0.3)
    result = careful._assign_by_blocks(anchors, gts, None, None, anchors.device)
    assert torch.equal(result.gt_inds, by_matrix(careful, anchors, gts, None, None).gt_inds)


def test_all_boxes_ignored(monkeypatch):
    monkeypatch.setattr(module, 'LEAST_PAIRS', 0)
    assigner = MaxIoUAssigner(0.7, 0.3, 0.3, ignore_iof_thr=0.5)
    everywhere = torch.tensor([[-10.0, -10, 500, 500]])
    assert assigner.assign(boxes(40, 0), boxes(3, 1), everywhere).gt_inds.eq(-1).all()


def test_subclasses_that_see_the_matrix_get_it(monkeypatch):
    class Doubling(MaxIoUAssigner):
        def assign_wrt_overlaps(self, overlaps, gt_labels=None):
            return super().assign_wrt_overlaps(overlaps * 2, gt_labels)

    monkeypatch.setattr(module, 'LEAST_PAIRS', 0)
    anchors, gts = boxes(50, 0), boxes(4, 1)
    result = Doubling(0.7, 0.3, 0.3).assign(anchors, gts)
    torch.testing.assert_close(result.max_overlaps, 2 * best_overlaps(gts, anchors).of_box)


def test_pairs_decide():
    assigner = MaxIoUAssigner(0.7, 0.3)
    assert not assigner._goes_by_blocks(boxes(10, 0), boxes(100, 0))
    assert assigner._goes_by_blocks(torch.zeros(100, 4), torch.zeros(10000, 4))
    halved = MaxIoUAssigner(0.7, 0.3, iou_calculator=dict(type='BboxOverlaps2D', dtype='fp16'))
    assert not halved._goes_by_blocks(torch.zeros(100, 4), torch.zeros(10000, 4))
