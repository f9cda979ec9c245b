"""The arithmetic of Domain Adaptive Faster R-CNN (Chen et al. 2018, https://arxiv.org/abs/1803.03243).

Every image of a batch counts alike, whatever its size and however many RoIs it has: means are taken within each image
first. Domains are 0 (source) or 1 (target); logits are those of domain 1. N is the number of images, n of RoIs.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def inside_images(
    img_shapes: Sequence[tuple[int, ...]],
    batch_shape: tuple[int, int],
    map_shape: tuple[int, int],
    device: torch.device,
) -> Tensor:
    """Which cells of a feature map show their image, not the padding around it.

    Args:
        img_shapes: N times (h, w, ...) px, without padding.
        batch_shape: (H, W) px of the padded batch.
        map_shape: (h, w) of the feature map, which covers the padded batch.
        device: of the result.

    Returns:
        (N, h, w) bool: the cell's upper left corner lies inside. Each image has at least one cell.
    """
    axes = []
    for axis in (0, 1):
        sides = torch.tensor([shape[axis] for shape in img_shapes]).view(-1, 1)
        corners = torch.arange(map_shape[axis]) * (batch_shape[axis] / map_shape[axis])
        axes.append(corners < sides)
    rows, columns = axes
    return (rows[:, :, None] & columns[:, None, :]).to(device)


def mean_inside(maps: Tensor, inside: Tensor) -> Tensor:
    """(N, h, w) -> (N,) mean over the cells where ``inside`` (N, h, w) is True."""
    return maps.where(inside, maps.new_zeros(())).sum((1, 2)) / inside.sum((1, 2))


def image_domain_loss(logits: Sequence[Tensor], inside: Sequence[Tensor], domains: Tensor) -> Tensor:
    """Cross entropy of the domain at each place of the feature maps.

    Args:
        logits: L times (N, h_l, w_l).
        inside: L times (N, h_l, w_l) bool; other places do not count.
        domains: (N,) 0 or 1.

    Returns:
        The mean over places, then levels, then images; scalar.
    """
    return torch.stack(
        [mean_inside(cross_entropy(level, domains), cells) for level, cells in zip(logits, inside)]
    ).mean()


def instance_domain_loss(logits: Tensor, image_of_roi: Tensor, domains: Tensor) -> Tensor:
    """Cross entropy of the domain of each RoI.

    Args:
        logits: (n,).
        image_of_roi: (n,) int64 in [0, N).
        domains: (N,) 0 or 1.

    Returns:
        The mean over the RoIs of an image, then over images; an image without RoIs adds 0. Scalar, attached for n = 0.
    """
    return (cross_entropy(logits, domains[image_of_roi]) * roi_weights(image_of_roi, len(domains))).sum()


def consistency_loss(
    image_logits: Sequence[Tensor], inside: Sequence[Tensor], roi_logits: Tensor, image_of_roi: Tensor
) -> Tensor:
    """Distance of each RoI's domain probability from the mean one of its image.

    Args:
        image_logits: L times (N, h_l, w_l).
        inside: as of :func:`image_domain_loss`.
        roi_logits: (n,).
        image_of_roi: (n,) int64 in [0, N).

    Returns:
        The mean of the absolute difference over the RoIs of an image, then over images; scalar in [0, 1].
    """
    levels = [mean_inside(level.float().sigmoid(), cells) for level, cells in zip(image_logits, inside)]
    of_image = torch.stack(levels).mean(0)  # (N,)
    distance = (of_image[image_of_roi] - roi_logits.float().sigmoid()).abs()
    return (distance * roi_weights(image_of_roi, len(of_image))).sum() + of_image.sum() * 0


def cross_entropy(logits: Tensor, domains: Tensor) -> Tensor:
    """Binary cross entropy (N, ...) of logits (N, ...) of domain 1 with the domains (N,)."""
    target = domains.view(-1, *[1] * (logits.ndim - 1)).expand_as(logits)
    return F.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction='none')


def roi_weights(image_of_roi: Tensor, num_images: int) -> Tensor:
    """(n,) weights 1 / (N * RoIs of the same image): a weighted sum is a mean over images of means over their RoIs."""
    counts = torch.zeros(num_images, device=image_of_roi.device)
    counts = counts.index_add(0, image_of_roi, torch.ones(len(image_of_roi), device=image_of_roi.device))
    return 1 / (counts[image_of_roi] * num_images)


@torch.no_grad()
def image_domain_accuracy(logits: Sequence[Tensor], inside: Sequence[Tensor], domains: Tensor) -> Tensor:
    """Per cent of the places that are put into the right domain, averaged as :func:`image_domain_loss`."""
    right = [
        mean_inside(((level > 0) == domains.bool()[:, None, None]).float(), cells)
        for level, cells in zip(logits, inside)
    ]
    return 100 * torch.stack(right).mean()


@torch.no_grad()
def instance_domain_accuracy(logits: Tensor, image_of_roi: Tensor, domains: Tensor) -> Tensor:
    """Per cent of the RoIs that are put into the right domain, a mean over the images that have RoIs; 0 without any."""
    weights = roi_weights(image_of_roi, len(domains))
    right = ((logits > 0) == domains.bool()[image_of_roi]).float()
    return 100 * (right * weights).sum() / weights.sum().clamp(min=1 / len(domains))
