"""``model.fixed_size``: which detectors can train in static shapes, and switching them to it.

The usual samplers give lists of indices, and the host waits for a GPU to know how long they are. In static shapes every
sample has as many rows as the sampler takes at most, rows that only fill up weigh nothing, and losses are sums over all
rows. The losses are those of the same sample drawn as usual; the random numbers that draw it are others. The numbers of
the log stay on the device until the log is written.

A head whose targets, losses and proposals can be made so states it in its own class, ``has_static_shapes = True``; what
it does not know of a subclass, it does not claim for it: each class states it anew.
"""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdet.core.bbox.assigners.max_iou_assigner import MaxIoUAssigner
from mmdet.core.bbox.samplers import custom_sampler
from mmdet.core.bbox.samplers.pseudo_sampler import PseudoSampler
from mmdet.core.bbox.samplers.random_sampler import RandomSampler

RANDOM_SAMPLERS = (RandomSampler, custom_sampler.RandomSamplerWithIgnore)
ALL_SAMPLERS = (*RANDOM_SAMPLERS, PseudoSampler, custom_sampler.BBOX_SAMPLERS.get('PseudoSamplerWithIgnore'))
# of the suppression of proposals; others are meant for one image, and here the images of a batch go through together
NMS_KEYS = ('type', 'iou_threshold', 'iou_thr', 'offset')


def use_static_shapes(detector: nn.Module) -> None:
    """Let a detector train in static shapes, in place.

    Raises:
        ValueError: a part of it cannot; it is named, with the reason.
    """
    reason = unsupported_reason(detector)
    if reason:
        raise ValueError(f'fixed_size: {reason}')
    detector.log_on_device = True
    for slot in ('rpn_head', 'bbox_head', 'roi_head'):
        if getattr(detector, slot, None) is not None:
            getattr(detector, slot).static_shapes = True
    if getattr(detector, 'roi_head', None) is not None:  # of masks there are as many as there are positives
        detector.roi_head.bbox_roi_extractor.static_shapes = True


def unsupported_reason(detector: nn.Module) -> str | None:
    """Why a detector cannot train in static shapes; None: it can."""
    first, second = (getattr(detector, slot, None) for slot in ('rpn_head', 'roi_head'))
    if second is None:
        slot = 'bbox_head' if first is None else 'rpn_head'
        return _reason_of_dense(slot, getattr(detector, slot, None))
    if first is None:
        return 'proposals that come with the data are of many numbers'
    if getattr(detector, 'domain_adaptation', None) is not None:
        return 'train_cfg.domain needs lists of proposals'
    return _reason_of_dense('rpn_head', first) or _reason_of_proposals(first, detector) or _reason_of_rois(second)


def _reason_of_dense(slot: str, head: Any) -> str | None:
    return _not_stated(slot, head) or _reason_of_sampling(
        slot, getattr(head, 'assigner', None), getattr(head, 'sampler', None), ALL_SAMPLERS
    )


def _reason_of_proposals(head: Any, detector: Any) -> str | None:
    if not getattr(head, 'proposals_in_static_shapes', False):
        return f'rpn_head: {type(head).__name__} makes no proposals in static shapes'
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
    return None


def _reason_of_rois(head: Any) -> str | None:
    reason = _not_stated('roi_head', head) or _not_stated('roi_head.bbox_head', head.bbox_head)
    if reason:
        return reason
    box_head = head.bbox_head
    if box_head.custom_activation or box_head.custom_accuracy:
        return f'roi_head.bbox_head: {type(box_head.loss_cls).__name__} counts the rows that it is given'
    shared = getattr(head, 'shared_head', None)
    parts = [box_head] + [shared] * (shared is not None and not getattr(shared, 'norm_eval', False))
    if any(isinstance(module, _BatchNorm) for part in parts for module in part.modules()):
        return 'roi_head: batch norms would take the rows that only fill samples up into their statistics'
    return _reason_of_sampling('roi_head', head.bbox_assigner, head.bbox_sampler, RANDOM_SAMPLERS)


def _not_stated(slot: str, head: Any) -> str | None:
    if getattr(head, 'has_static_shapes', False):
        return None
    return f'{slot}: {type(head).__name__} does not state that it has static shapes (has_static_shapes = True)'


def _reason_of_sampling(slot: str, assigner: Any, sampler: Any, samplers: tuple[type, ...]) -> str | None:
    if assigner is None:  # a model that is only tested
        return None
    if type(assigner) is not MaxIoUAssigner:
        return f'{slot}: expected the assigner MaxIoUAssigner, got {type(assigner).__name__}'
    if type(sampler) not in samplers:
        names = ', '.join(kind.__name__ for kind in samplers)
        return f'{slot}: expected a sampler of {names}, got {type(sampler).__name__}'
    return None
