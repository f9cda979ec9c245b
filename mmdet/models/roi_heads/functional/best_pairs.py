"""Detections of heads whose proposals need no suppression."""

from torch import Tensor


def best_pairs(scores: Tensor, limit: int) -> tuple[Tensor, Tensor, Tensor]:
    """The ``limit`` best pairs of a proposal and a class in each image.

    Args:
        scores: (N, P, K).
        limit: most pairs; all P K where there are fewer.

    Returns:
        their scores, descending, the proposals' rows and the classes, each (N, k).
    """
    num_classes = scores.size(2)
    flat = scores.flatten(1)
    best, inds = flat.topk(min(limit, flat.size(1)), dim=1)
    return best, inds.div(num_classes, rounding_mode='floor'), inds % num_classes
