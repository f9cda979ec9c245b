"""Small tensor functions of mmdetection 2.x that keep shapes fixed."""

from collections.abc import Sequence

from torch import Tensor


def masked_fill(ori_tensor: Tensor, mask: Tensor | None, new_value: float, neg: bool = False) -> Tensor:
    """``ori_tensor`` with ``new_value`` where ``mask`` is non-zero (where it is zero, with ``neg``).

    Args:
        ori_tensor: any shape.
        mask: broadcasts to that shape; None changes nothing.
    """
    if mask is None:
        return ori_tensor
    return ori_tensor.masked_fill(mask.bool() ^ neg, new_value)


def batch_images_to_levels(target: Tensor, num_levels: Sequence[int]) -> list[Tensor]:
    """(N, sum(num_levels), ...) -> one (N, n, ...) per level."""
    return list(target.split(list(num_levels), dim=1))


def get_max_num_gt_division_factor(
    gt_nums: Sequence[int], min_num_gt: int = 32, max_num_gt: int = 1024, division_factor: int = 2
) -> int:
    """The first of ``min_num_gt * division_factor ** k`` that holds the largest of ``gt_nums``.

    Raises:
        RuntimeError: that is more than ``max_num_gt``.
    """
    size = min_num_gt
    while size < max(gt_nums):
        size *= division_factor
    if size > max_num_gt:
        raise RuntimeError(f'{max(gt_nums)} objects in one image need {size} places, more than max_num_gt={max_num_gt}')
    return size
