"""Assignment block by block gives what the matrix of all overlaps gives."""

from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

import mmdet.core.bbox.assigners.blockwise as blockwise
import mmdet.core.bbox.assigners.max_iou_assigner as module
from mmdet.core.bbox.assigners import MaxIoUAssigner
from mmdet.core.bbox.assigners.blockwise import best_overlaps


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blockwise, 'BLOCK', 16)
    monkeypatch.setattr(blockwise, 'PAIRS', 64)


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


def any_boxes(count: int, generator: torch.Generator, shift: float = 0, size: float = 30) -> torch.Tensor:
    corners = torch.rand(count, 2, generator=generator) * 100 + shift
    return torch.cat([corners, corners + torch.rand(count, 2, generator=generator) * size], 1)


def nested_boxes(count: int, generator: torch.Generator) -> torch.Tensor:
    margins = torch.randint(0, 25, (count, 1), generator=generator).float()
    return torch.cat([margins, margins, 60 - margins, 60 - margins], 1)


def turned_boxes(count: int, generator: torch.Generator) -> torch.Tensor:
    """Some with their ends before their starts."""
    return torch.randint(0, 60, (count, 4), generator=generator).float()


def grid_boxes(count: int, generator: torch.Generator) -> torch.Tensor:
    return boxes(count, int(torch.randint(1000, (), generator=generator)))


KINDS = dict(
    random=any_boxes,
    tied=grid_boxes,
    nested=nested_boxes,
    turned=turned_boxes,
    without_area=partial(any_boxes, size=0),
    outside=partial(any_boxes, shift=95),
)


@pytest.mark.parametrize('kind', KINDS)
def test_any_boxes_get_what_the_matrix_gives(small_blocks, kind):
    generator = torch.Generator().manual_seed(0)
    settings = [(0.7, 0.3, 0.3, True), (0.5, (0.1, 0.4), 0.0, True), (0.0, 0.0, 0.0, False), (0.4, 0.4, 0.2, False)]
    for count, num_gts in ((1, 1), (16, 5), (90, 1), (205, 40)):
        anchors = torch.cat([make(count, generator) for make in (grid_boxes, any_boxes, KINDS[kind])])
        anchors = anchors[torch.randperm(len(anchors), generator=generator)[: len(anchors) - 1]]
        gts = torch.cat([KINDS[kind](num_gts, generator), anchors[:1]])
        for *thresholds, assign_all in settings:
            assigner = MaxIoUAssigner(*thresholds, gt_max_assign_all=assign_all)
            expected = by_matrix(assigner, anchors, gts, None, None)
            result = assigner._assign_by_blocks(anchors, gts, None, None, anchors.device)
            assert torch.equal(result.gt_inds, expected.gt_inds)
            assert torch.equal(result.max_overlaps, expected.max_overlaps)


@pytest.mark.parametrize('assign_all', [True, False])
def test_a_gt_without_overlap_takes_all_boxes_or_the_first(small_blocks, monkeypatch, assign_all):
    monkeypatch.setattr(module, 'LEAST_PAIRS', 0)
    anchors, gts = boxes(300, 0), torch.cat([boxes(5, 1), torch.tensor([[900.0, 900, 910, 910]])])
    result = MaxIoUAssigner(0.7, 0.3, 0.0, assign_all).assign(anchors, gts)
    assert result.gt_inds.eq(6).sum() == (300 if assign_all else 1) and result.gt_inds[0] == 6
    assert not MaxIoUAssigner(0.7, 0.3, 0.3, assign_all).assign(anchors, gts).gt_inds.eq(6).any()


class LargestTensor(TorchDispatchMode):
    """Counts the numbers of the largest tensor that is made."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        made = [leaf.numel() for leaf in tree_flatten(out)[0] if isinstance(leaf, torch.Tensor) and not leaf._is_view()]
        self.largest = max(self.largest, *made, 0)
        return out


@pytest.mark.parametrize(('count', 'num_gts'), [(2000, 10), (400, 600)])
def test_temporaries_stay_small_where_all_boxes_meet(small_blocks, count, num_gts):
    generator = torch.Generator().manual_seed(0)
    anchors, gts = (any_boxes(number, generator) + torch.tensor([0, 0, 200.0, 200]) for number in (count, num_gts))
    assigner = MaxIoUAssigner(0.7, 0.3, 0.3)
    with LargestTensor() as made:
        assigner._assign_by_blocks(anchors, gts, None, None, anchors.device)
    assert made.largest <= max(2 * blockwise.PAIRS, blockwise.BLOCK * num_gts, 4 * count) < count * num_gts
    with LargestTensor() as made:
        by_matrix(assigner, anchors, gts, None, None)
    assert made.largest == count * num_gts


def test_all_boxes_ignored(monkeypatch):
    monkeypatch.setattr(module, 'LEAST_PAIRS', 0)
    assigner = MaxIoUAssigner(0.7, 0.3, 0.3, ignore_iof_thr=0.5)
    everywhere = torch.tensor([[-10.0, -10, 500, 500]])
    result = assigner.assign(boxes(40, 0), boxes(3, 1), everywhere)
    assert result.gt_inds.eq(-1).all() and result.max_overlaps.eq(-1).all()


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
    assert not assigner._goes_by_blocks(torch.zeros(100, 4), torch.zeros(10000, 4).half())
    halved = MaxIoUAssigner(0.7, 0.3, iou_calculator=dict(type='BboxOverlaps2D', dtype='fp16'))
    assert not halved._goes_by_blocks(torch.zeros(100, 4), torch.zeros(10000, 4))
