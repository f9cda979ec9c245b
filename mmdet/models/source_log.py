"""Every loss also by source: how much of it the images of each data set of a mixture make.

Losses are sums over anchors or boxes, so they fall into the parts of single images. :class:`SourceLog` listens to the
loss modules of the heads while a step runs, adds up each image's elements, and groups them by the images' sources. The
training itself is not touched: nothing is computed twice, no loss changes, and no value is read from the device before
``parse_losses`` reads all that is logged in its one copy.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.rpn_head import RPNHead
from mmdet.models.losses.balanced_l1_loss import BalancedL1Loss
from mmdet.models.losses.cross_entropy_loss import CrossEntropyLoss
from mmdet.models.losses.focal_loss import FocalLoss
from mmdet.models.losses.iou_loss import BoundedIoULoss, CIoULoss, DIoULoss, GIoULoss, IoULoss
from mmdet.models.losses.mse_loss import MSELoss
from mmdet.models.losses.smooth_l1_loss import L1Loss, SmoothL1Loss
from mmdet.models.losses.utils import listening
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead
from mmdet.models.roi_heads.roi_extractors.base_roi_extractor import BaseRoIExtractor

_LOGGER = logging.getLogger('mmdet')

# Losses whose elements are those of single rows; others (ranking, histograms of the batch) do not fall into images.
SPLIT_LOSSES = (
    BalancedL1Loss,
    BoundedIoULoss,
    CIoULoss,
    CrossEntropyLoss,
    DIoULoss,
    FocalLoss,
    GIoULoss,
    IoULoss,
    L1Loss,
    MSELoss,
    SmoothL1Loss,
)
# What is counted for the classification loss of a head, by the names in the log.
COUNTS = ('pos', 'neg', 'ignored', 'weight')
SOURCE = 'source'


class LossPart(NamedTuple):
    """A loss of a head, and which rows its elements are."""

    name: str  # in the dict of losses: 's0.loss_cls'
    prefix: str  # of the counts: 's0.'
    head: nn.Module
    loss: nn.Module
    rows: str  # 'levels': the anchors of one level, image by image; 'rois': all RoIs; 'positives': of the RoIs
    counts: bool  # whether the targets of this loss are counted
    split: bool  # whether its elements are those of single rows


class Heard(NamedTuple):
    """One call of a loss."""

    sums: Tensor  # (M,) sum of each image's elements
    divisor: Any  # of the mean


class SourceLog:
    """Shares of the sources in the losses, and counts of their targets, step by step.

    Covered are heads that use ``AnchorHead.loss`` (RPN, RetinaNet) or ``BBoxHead.loss``, and mask heads, with losses of
    :data:`SPLIT_LOSSES`. Of others nobody knows which row belongs to which image; they are left out, and named once.

    Args:
        model: the detector.
        sources: names of all sources. Each step logs all of them, so that means over steps and processes are those of
            the same things.
    """

    def __init__(self, model: nn.Module, sources: Sequence[str]) -> None:
        self.sources = list(sources)
        self.parts = find_parts(model)
        self.extractors = [module for module in model.modules() if isinstance(module, BaseRoIExtractor)]
        self.heads = list({id(part.head): part.head for part in self.parts}.values())
        self._told = False
        self._begin([])

    def _begin(self, img_metas: Sequence[dict]) -> None:
        self._numbers = [source_number(meta, self.sources) for meta in img_metas]
        self._images = len(img_metas)  # as the heads see them; a multiple where a model takes views of each
        self._rois: Tensor | None = None
        self._rois_of: dict[int, Tensor | None] = {}
        self._open: list[tuple[Tensor, Any]] | None = None
        self._heard: dict[str, list[Heard]] = {part.name: [] for part in self.parts}
        self._targets: dict[str, list[tuple[Tensor, ...]]] = {part.name: [] for part in self.parts}
        self._positives: dict[int, Tensor] = {}
        self._last_positives: Tensor | None = None

    @contextmanager
    def recording(self, img_metas: Sequence[dict]) -> Iterator[None]:
        """Listen while the losses of a batch are computed.

        Args:
            img_metas: of its N images, with ``source``.

        Raises:
            KeyError: an image has no source, or another one.
        """
        self._begin(img_metas)
        with ExitStack() as stack:
            hooks = [
                extractor.register_forward_pre_hook(self._see_rois, with_kwargs=True) for extractor in self.extractors
            ]
            hooks += [head.register_forward_hook(self._see_head) for head in self.heads]
            for part in self.parts:
                hooks.append(part.loss.register_forward_pre_hook(self._open_call))
                hooks.append(part.loss.register_forward_hook(partial(self._close_call, part), with_kwargs=True))
            for hook in hooks:
                stack.callback(hook.remove)
            stack.enter_context(listening(self._hear))
            yield

    def _see_rois(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        self._rois = kwargs['rois'] if 'rois' in kwargs else args[1]

    def _see_head(self, head: nn.Module, args: tuple, output: Any) -> None:
        if isinstance(head, AnchorHead):
            self._images = len(output[0][0])
        else:
            self._rois_of[id(head)] = self._rois

    def _open_call(self, loss: nn.Module, args: tuple) -> None:
        self._open = []

    def _hear(self, elements: Tensor, reduction: str, avg_factor: Any) -> None:
        if self._open is not None and reduction != 'none':
            self._open.append((elements.detach(), elements.numel() if avg_factor is None else avg_factor))

    @torch.no_grad()
    def _close_call(self, part: LossPart, loss: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        calls, self._open = self._open, None
        elements, divisor = calls[0] if calls else (None, None)
        rows = elements if part.split else args[1]  # labels, one for each row
        if rows is None or not len(rows):
            return
        owner = None if part.rows == 'levels' else self._owners(part, rows, args)
        if part.counts:
            self._note_targets(part, *args[1:3], owner)
        if not part.split:
            return
        if owner is None:
            sums = elements.reshape(self._images, -1).sum(1)
        else:
            self._heard[part.name].clear()  # a loss that is looked at several times counts as it was last
            sums = per_image(elements.flatten(1).sum(1) if elements.dim() > 1 else elements, owner)
        self._heard[part.name].append(Heard(sums.float(), divisor))

    def _note_targets(self, part: LossPart, labels: Tensor, weights: Tensor, owner: Tensor | None) -> None:
        if owner is None:
            by_image = labels.reshape(self._images, -1), weights.reshape(self._images, -1)
            self._targets[part.name].append(by_image)
        else:
            self._targets[part.name] = [(labels, weights, owner)]

    def _owners(self, part: LossPart, rows: Tensor, args: tuple) -> Tensor:
        """(n, M) bool: the image of each row; rows are in the order of the images."""
        rois = self._rois_of[id(part.head)]
        # masks may be predicted from the box branch's features of its positives
        if part.rows == 'positives' or len(rois) != len(rows):
            count = self._positives.get(id(part.head), self._last_positives)
            # which RoIs are positives, only the device knows; how many of them come before an image's, as well
            ends = count.cumsum(0)
            rank = torch.arange(len(rows), device=rows.device)[:, None]
            return (rank < ends) & (rank >= ends - count)
        owner = rois[:, :1] == torch.arange(self._images, device=rows.device)
        if part.counts:
            positive = (args[1] >= 0) & (args[1] < part.head.num_classes)
            self._last_positives = (owner & positive[:, None]).sum(0)
            self._positives[id(part.head)] = self._last_positives
        return owner

    @torch.no_grad()
    def entries(self, losses: Mapping[str, Any]) -> tuple[list[str], Tensor]:
        """What the step's log shows beside the losses.

        Args:
            losses: what the model gave while :meth:`recording`.

        Returns:
            Names, ``loss_rpn_cls/SOURCE``, and values (n,). Those of a loss add up to it.
        """
        self._tell_what_is_left_out(losses)
        parts = [part for part in self.parts if part.name in losses]
        first = next(iter(losses.values()))
        device = (first if isinstance(first, Tensor) else first[0]).device
        rows = {'images': torch.ones(self._images, device=device) * (len(self._numbers) / max(self._images, 1))}
        for part in parts:
            if part.split:
                rows[part.name] = self._shares(part, losses[part.name])
            if part.counts:
                rows.update(zip((part.prefix + name for name in COUNTS), self._counts(part, device)))
        table = torch.stack([row.float() for row in rows.values()])  # (R, M)
        # several views of N images come as N, N, ...; from host to device without waiting
        numbers = torch.tensor(self._numbers * (self._images // max(len(self._numbers), 1)))
        member = (numbers[:, None] == torch.arange(len(self.sources))).float().to(device, non_blocking=True)
        values = (table[:, :, None] * member).sum(1)  # (R, M, S) -> (R, S)
        return [f'{row}/{source}' for row in rows for source in self.sources], values.flatten()

    def _shares(self, part: LossPart, loss: Any) -> Tensor:
        """(M,) of each image in a loss; they add up to it, whatever factor the head put on the loss."""
        total = sum(t.detach().float().mean() for t in (loss if isinstance(loss, (list, tuple)) else [loss]))
        heard = self._heard[part.name]
        if not heard:  # a loss without rows is a zero on the graph
            return (total / self._images).expand(self._images)
        sums = torch.stack([call.sums for call in heard])
        first = heard[0].divisor
        if any(call.divisor is not first and call.divisor != first for call in heard[1:]):
            sums = torch.stack([call.sums / call.divisor for call in heard])
        sums = sums.sum(0)
        whole = sums.sum()
        return torch.where(whole == 0, total / self._images, sums * (total / torch.where(whole == 0, 1, whole)))

    def _counts(self, part: LossPart, device: torch.device) -> Tensor:
        """(4, M) of :data:`COUNTS` for each image."""
        targets = self._targets[part.name]
        if not targets:
            return torch.zeros(len(COUNTS), self._images, device=device)
        if part.rows == 'levels':
            labels, weights = (torch.cat(level, 1) for level in zip(*targets))  # (M, R)
            return torch.stack([value.sum(1) for value in count_targets(labels, weights, part.head.num_classes)])
        labels, weights, owner = targets[0]
        values = torch.stack(count_targets(labels, weights, part.head.num_classes))  # (4, n)
        return (values[:, :, None] * owner).sum(1)

    def _tell_what_is_left_out(self, losses: Mapping[str, Any]) -> None:
        if self._told:
            return
        self._told = True
        divided = {part.name for part in self.parts if part.split}
        left_out = sorted(name for name in losses if 'loss' in name and name not in divided)
        if left_out:
            _LOGGER.warning(
                'per_source_log: %s cannot be divided among images and are only logged as a whole', ', '.join(left_out)
            )

    def charts(self) -> dict[str, list[str]]:
        """Loss -> its name and those of its parts, as the log has them."""
        names = [part.name for part in self.parts if part.split]
        return {name: [name, *(f'{name}/{source}' for source in self.sources)] for name in names}


def source_number(meta: Mapping[str, Any], sources: Sequence[str]) -> int:
    """The number of an image's source.

    Raises:
        KeyError: it has none, or one that is not known.
    """
    if SOURCE not in meta and len(sources) == 1:
        return 0
    if meta.get(SOURCE) not in sources:
        raise KeyError(
            f'per_source_log: image {meta.get("filename", "?")} has the source {meta.get(SOURCE)!r}, expected one of '
            f'{", ".join(sources)}; a ConcatDataset writes it where the pipelines of its data sets end in img_metas'
        )
    return sources.index(meta[SOURCE])


def per_image(values: Tensor, owner: Tensor) -> Tensor:
    """(n,) values of rows, (n, M) bool -> (M,) their sums by image."""
    return (values[:, None] * owner).sum(0)


def count_targets(labels: Tensor, weights: Tensor, num_classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each row whether it is a positive, a negative, or without weight and so ignored; and its weight."""
    counted = weights > 0
    background = labels == num_classes
    return (counted & ~background).float(), (counted & background).float(), (~counted).float(), weights.float()


def find_parts(model: nn.Module) -> list[LossPart]:
    """The losses of a model that fall into images."""
    parts = []
    for path, head in model.named_modules():
        *_, owner, last = ['', *path.split('.')]
        attribute, stage = (owner, f's{last}.') if last.isdigit() else (last, '')
        if isinstance(head, AnchorHead) and definer(head, 'loss') in (AnchorHead, RPNHead):
            of_rpn = definer(head, 'loss') is RPNHead
            kinds = [('loss_rpn_' if of_rpn else 'loss_', kind, 'levels') for kind in ('cls', 'bbox')]
            prefix = 'rpn_' if of_rpn else ''
        elif isinstance(head, BBoxHead) and attribute == 'bbox_head' and definer(head, 'loss') is BBoxHead:
            kinds, prefix = [(f'{stage}loss_', 'cls', 'rois'), (f'{stage}loss_', 'bbox', 'positives')], stage
        elif isinstance(head, FCNMaskHead) and attribute == 'mask_head' and not hasattr(head, 'weighted_loss'):
            kinds, prefix = [(f'{stage}loss_', 'mask', 'rois')], stage
        else:
            continue
        for start, kind, rows in kinds:
            loss = getattr(head, f'loss_{kind}')
            split, counts = isinstance(loss, SPLIT_LOSSES), kind == 'cls'
            if split or counts:
                parts.append(LossPart(start + kind, prefix, head, loss, rows, counts, split))
    return parts


def definer(module: nn.Module, method: str) -> type:
    """The class that a module's method comes from, mixins that only hand on what they get left aside."""
    return next(cls for cls in type(module).__mro__ if method in vars(cls) and issubclass(cls, nn.Module))
