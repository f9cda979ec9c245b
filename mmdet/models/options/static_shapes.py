"""``model.fixed_size``: which detectors can train on samples of fixed shapes, and switching them to it.

The usual samplers give lists of indices, whose lengths a GPU must be waited for. With fixed sizes every sample has as
many rows as the sampler takes at most, rows that are not there weigh nothing, and losses are sums over all rows. The
losses are those of the same sample drawn as usual; the random numbers that draw it are others. The numbers of the log
stay on the device until the log is written.
"""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdet.core.bbox.assigners.max_iou_assigner import MaxIoUAssigner
from mmdet.core.bbox.samplers import custom_sampler
from mmdet.core.bbox.samplers.pseudo_sampler import PseudoSampler
from mmdet.core.bbox.samplers.random_sampler import RandomSampler
from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.custom_rpn_head import HeadWithWeightPerImage
from mmdet.models.dense_heads.rpn_head import RPNHead
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
from mmdet.models.roi_heads.bbox_heads.custom_bbox_head import CustomBBoxHeadWithWeightPerImage
from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead

RANDOM_SAMPLERS = (RandomSampler, custom_sampler.RandomSamplerWithIgnore)
ALL_SAMPLERS = (*RANDOM_SAMPLERS, PseudoSampler, custom_sampler.BBOX_SAMPLERS.get('PseudoSamplerWithIgnore'))
# of the suppression of proposals; others are meant for one image, and here the images of a batch go through together
NMS_KEYS = ('type', 'iou_threshold', 'iou_thr', 'offset')
# what a head may not have made its own, as the fixed sizes do it otherwise
ANCHOR_STEPS = ('get_targets', '_get_targets_single', 'get_anchors', '_fill_targets', 'loss', 'loss_single')
PROPOSAL_STEPS = ('get_bboxes', '_training_proposals', '_get_bboxes_single', '_bbox_post_process')
ROI_STEPS = ('forward_train', '_sample', '_bbox_forward_train')
BOX_STEPS = (
    'get_targets', '_get_target_single', '_image_targets', 'loss', '_bbox_loss', '_cls_losses', '_cls_avg_factor'
)  # fmt: skip


def use_fixed_sizes(detector: nn.Module) -> None:
    """Let a detector train on samples of fixed shapes, in place.

    Raises:
        ValueError: a part of it does not know them; it is named, with the reason.
    """
    reason = why_not_fixed(detector)
    if reason:
        raise ValueError(f'fixed_size: {reason}')
    detector.log_on_device = True
    for slot in ('rpn_head', 'bbox_head', 'roi_head'):
        if getattr(detector, slot, None) is not None:
            getattr(detector, slot).fixed_size = True
    if getattr(detector, 'roi_head', None) is not None:  # of masks there are as many as there are positives
        detector.roi_head.bbox_roi_extractor.fixed_size = True


def why_not_fixed(detector: nn.Module) -> str | None:
    """Why a detector cannot train on fixed sizes; None: it can."""
    first, second = (getattr(detector, slot, None) for slot in ('rpn_head', 'roi_head'))
    if second is None:
        slot = 'bbox_head' if first is None else 'rpn_head'
        return _why_not_dense(slot, getattr(detector, slot, None))
    if first is None:
        return 'proposals that come with the data are not of fixed sizes'
    if getattr(detector, 'domain_adaptation', None) is not None:
        return 'train_cfg.domain needs lists of proposals'
    return _why_not_dense('rpn_head', first) or _why_not_rpn(first, detector) or _why_not_roi(second)


def _why_not_dense(slot: str, head: Any) -> str | None:
    if not isinstance(head, AnchorHead):
        return f'{slot}: expected a head over anchors, got {type(head).__name__}'
    return _changed(slot, head, ANCHOR_STEPS, (AnchorHead, RPNHead, HeadWithWeightPerImage)) or _why_not_sampled(
        slot, getattr(head, 'assigner', None), getattr(head, 'sampler', None), ALL_SAMPLERS
    )


def _why_not_rpn(head: Any, detector: Any) -> str | None:
    if not isinstance(head, RPNHead):
        return f'rpn_head: expected an RPNHead, got {type(head).__name__}'
    cfg = detector.train_cfg and (detector.train_cfg.get('rpn_proposal') or detector.test_cfg.rpn)
    nms = cfg['nms'] if cfg else {}
    others = [key for key in nms if key not in NMS_KEYS]
    if nms.get('type', 'nms') != 'nms' or others:
        return (
            f"train_cfg.rpn_proposal.nms: expected type='nms' and no other keys than {', '.join(NMS_KEYS)}, got "
            f'{dict(nms)}'
        )
    if cfg and cfg.get('nms_pre', -1) <= 0:
        return 'train_cfg.rpn_proposal: expected nms_pre > 0, as all images of a batch are suppressed together'
    return _changed('rpn_head', head, PROPOSAL_STEPS, (BaseDenseHead, RPNHead))


def _why_not_roi(head: Any) -> str | None:
    if not isinstance(head, StandardRoIHead):
        return f'roi_head: expected a StandardRoIHead, got {type(head).__name__}'
    box_head = head.bbox_head
    if not isinstance(box_head, BBoxHead):
        return f'roi_head.bbox_head: expected a BBoxHead, got {type(box_head).__name__}'
    if box_head.custom_activation or box_head.custom_accuracy:
        return f'roi_head.bbox_head: {type(box_head.loss_cls).__name__} counts the rows that it is given'
    shared = getattr(head, 'shared_head', None)
    parts = [box_head] + [shared] * (shared is not None and not getattr(shared, 'norm_eval', False))
    if any(isinstance(module, _BatchNorm) for part in parts for module in part.modules()):
        return 'roi_head: batch norms would take the rows that only fill samples up into their statistics'
    return (
        _changed('roi_head', head, ROI_STEPS, (StandardRoIHead,))
        or _changed('roi_head.bbox_head', box_head, BOX_STEPS, (BBoxHead, CustomBBoxHeadWithWeightPerImage))
        or _why_not_sampled('roi_head', head.bbox_assigner, head.bbox_sampler, RANDOM_SAMPLERS)
    )


def _changed(slot: str, head: Any, steps: tuple[str, ...], owners: tuple[type, ...]) -> str | None:
    """Names a step that the head's class has made its own."""
    for step in steps:
        owner = next(cls for cls in type(head).__mro__ if step in vars(cls))
        if owner not in owners:
            return f'{slot}: {owner.__name__} has a {step} of its own'
    return None


def _why_not_sampled(slot: str, assigner: Any, sampler: Any, samplers: tuple[type, ...]) -> str | None:
    if assigner is None:  # a model that is only tested
        return None
    if type(assigner) is not MaxIoUAssigner:
        return f'{slot}: expected the assigner MaxIoUAssigner, got {type(assigner).__name__}'
    if type(sampler) not in samplers:
        names = ', '.join(kind.__name__ for kind in samplers)
        return f'{slot}: expected a sampler of {names}, got {type(sampler).__name__}'
    return None
