"""Every head with a loss weight for each image: ``HEADS`` makes ``<Head>WithWeightPerImage`` when it is asked for.

``HEADS.get('RetinaHeadWithWeightPerImage')``, a config that names it, and an import of that name from this module give
the head with the mixin of its family before it; constructor, parameters and checkpoint keys are those of the head. A
head of the user's own has such a version as soon as it is registered.
"""

import inspect
from collections.abc import Callable
from typing import NamedTuple

from mmdet.core.directives import KEYPOINT_HEAD, WEIGHTED_HEADS
from mmdet.core.utils.misc import names_parameter
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage, asks_directives
from mmdet.models.dense_heads.guided_weights import (
    GuidedTargetsWithWeightPerImage,
    RegionTargetsWithWeightPerImage,
)
from mmdet.models.dense_heads.point_weights import PointHeadWithWeightPerImage
from mmdet.models.directive_switch import HEAD_SUFFIX as SUFFIX
from mmdet.models.roi_heads.base_roi_head import BaseRoIHead
from mmdet.models.roi_heads.bbox_heads.custom_bbox_head import (
    CustomBBoxHeadWithWeightPerImage,
    QueryHeadWithWeightPerImage,
)
from mmdet.models.roi_heads.keypoint_heads.custom_keypoint_head import RoILossWithWeightPerImage
from mmdet.models.roi_heads.mask_heads.custom_mask_head import MeanLossWithWeightPerImage


def _names(head: type, method: str, parameter: str) -> bool:
    function = getattr(head, method, None)
    return callable(function) and names_parameter(function, parameter)


def is_dense_head(head: type) -> bool:
    """Whether the head makes the targets of one image from its meta information, as ``AnchorHead`` does.

    A head with an order of its own in ``_get_target_single`` must say which of its items are weights.
    """
    own_order = _names(head, '_get_target_single', 'img_meta') and hasattr(head, 'weight_items')
    return own_order or _names(head, '_get_targets_single', 'img_meta')


def is_point_head(head: type) -> bool:
    """Whether the head's loss asks for weights of its points, as that of ``FCOSHead`` does."""
    return hasattr(head, 'point_weights') and asks_directives(head)


def is_box_head(head: type) -> bool:
    """Whether the head makes its targets image by image and its divisor in a method, as ``BBoxHead`` does."""
    by_image = hasattr(head, '_image_targets') or _names(head, '_get_target_single', 'img_metas')
    return by_image and hasattr(head, '_cls_avg_factor')


def is_query_head(head: type) -> bool:
    """Whether the head is one of a stage whose queries keep their rows, as ``DIIHead``."""
    return hasattr(head, '_image_targets') and _names(head, 'loss', 'imgs_whwh')


def has_mean_loss(head: type) -> bool:
    """Whether the head says whose weight its loss, a mean over RoIs or images, obeys."""
    obeyed = getattr(head, 'directive_head', None)
    # what keypoints are divided by is no number of RoIs, so that a mean of means would be another loss
    return obeyed in WEIGHTED_HEADS and obeyed != KEYPOINT_HEAD and hasattr(head, 'loss')


def has_roi_loss(head: type) -> bool:
    """Whether the head says whose weight its loss obeys, and the loss takes a weight for each RoI."""
    return getattr(head, 'directive_head', None) in WEIGHTED_HEADS and _names(head, 'loss', 'weights')


class Family(NamedTuple):
    """Heads that obey weights by one mixin."""

    mixin: type
    has: Callable[[type], bool]


FAMILIES = (
    Family(QueryHeadWithWeightPerImage, is_query_head),
    Family(CustomBBoxHeadWithWeightPerImage, is_box_head),
    Family(GuidedTargetsWithWeightPerImage, lambda head: hasattr(head, '_ga_loc_target_single')),
    Family(RegionTargetsWithWeightPerImage, lambda head: hasattr(head, '_region_targets_single')),
    Family(PointHeadWithWeightPerImage, is_point_head),
    Family(HeadWithWeightPerImage, is_dense_head),
    Family(RoILossWithWeightPerImage, has_roi_loss),
    Family(MeanLossWithWeightPerImage, has_mean_loss),
)
MIXINS = tuple(family.mixin for family in FAMILIES)


def why_not_weighted(head: type) -> str | None:
    """What a registered class lacks to get a loss weight for each image; None: nothing."""
    if not inspect.isclass(head):
        return 'is no class'
    if issubclass(head, MIXINS):
        return 'obeys the weights of the images already'
    if issubclass(head, BaseRoIHead):
        return 'has no loss of its own: name its bbox_head, mask_head or keypoint_head so'
    reason = getattr(head, 'no_weight_per_image', None)
    if reason:
        return f'cannot weigh images: {reason}'
    if any(family.has(head) for family in FAMILIES):
        return None
    return (
        'cannot weigh images. It is neither a dense head (_get_targets_single that names img_meta, or '
        '_get_target_single that does, with weight_items), nor a head over points (point_weights, and a loss that asks '
        'them and says so by asks_directives in its class), nor a box head (_get_target_single that names img_metas, '
        'and _cls_avg_factor), nor a head whose loss is a mean over RoIs or images (loss, and a directive_head of '
        f'{", ".join(WEIGHTED_HEADS)}; that of a {KEYPOINT_HEAD} takes weights)'
    )


def with_weight_per_image(head: type) -> type:
    """The version of a head that obeys the weights of the images."""
    mixin = next(family.mixin for family in FAMILIES if family.has(head))
    doc = f':class:`{head.__name__}` with a loss weight for each image.'
    return type(head)(head.__name__ + SUFFIX, (mixin, head), {'__module__': __name__, '__doc__': doc})


def __getattr__(name: str) -> type:
    # derived classes live here, so that pickles find them
    found = HEADS.get(name) if name.endswith(SUFFIX) else None
    if found is None:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return found


HEADS.add_derivation(SUFFIX, with_weight_per_image, why_not_weighted)
