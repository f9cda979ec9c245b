"""Every loss also by source: how much of it the images of each data set of a mixture make.

Losses are sums over anchors or boxes, so they fall into the parts of single images. :class:`SourceLog` listens to the
loss modules of the heads while a step runs, adds up each image's elements, and groups them by the images' sources. The
training itself is not touched: nothing is computed twice, no loss changes, and no value is read from the device before
``parse_losses`` reads all that is logged in its one copy.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.losses.listening import listening, told_choice, told_images, told_present
from mmdet.models.roi_heads.roi_extractors.base_roi_extractor import BaseRoIExtractor
from mmdet.models.source_parts import (
    EACH,
    LAYERS,
    MASKS,
    POINTS,
    POSITIVES,
    ROIS,
    LossPart,
    find_parts,
    positives_not_told,
    unknown_heads,
    why_not_split,
)

_LOGGER = logging.getLogger('mmdet')

# What is counted for the classification loss of a head, by the names in the log.
COUNTS = ('pos', 'neg', 'ignored', 'weight')
SOURCE = 'source'


class Heard(NamedTuple):
    """One call of a loss."""

    sums: Tensor  # (M,) sum of each image's elements
    divisor: Any  # of the mean


class SourceLog:
    """Shares of the sources in the losses, and counts of their targets, step by step.

    Covered are the losses that :func:`find_parts` knows. Of others nobody knows which row belongs to which image; they
    are left out, and one warning names them and says why.

    Args:
        model: the detector.
        sources: names of all sources. Each step logs all of them, so that means over steps and processes are those of
            the same things.
    """

    def __init__(self, model: nn.Module, sources: Sequence[str]) -> None:
        self.sources = list(sources)
        self.parts = find_parts(model)
        self.unknown = unknown_heads(model)
        self.extractors = [module for module in model.modules() if isinstance(module, BaseRoIExtractor)]
        self.heads = list({id(part.head): part.head for part in self.parts}.values())
        self._told = False
        # known before the first step, so that all processes log the same
        self._lost = positives_not_told(model, self.parts)
        self._begin([])

    def _begin(self, img_metas: Sequence[dict]) -> None:
        self._numbers = [source_number(meta, self.sources) for meta in img_metas]
        self._images = len(img_metas)  # as the heads see them; a multiple where a model takes views of each
        self._cells: list[int] = []  # of each level
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
                if part.loss is not None:
                    hooks.append(part.loss.register_forward_pre_hook(self._open_call))
                    hooks.append(part.loss.register_forward_hook(partial(self._close_call, part), with_kwargs=True))
            for hook in hooks:
                stack.callback(hook.remove)
            stack.enter_context(listening(self))
            yield

    def _see_rois(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        self._rois = kwargs['rois'] if 'rois' in kwargs else args[1]

    def _see_head(self, head: nn.Module, args: tuple, output: Any) -> None:
        if not isinstance(head, BaseDenseHead):
            self._rois_of[id(head)] = self._rois
        elif not any(part.head is head and part.rows == LAYERS for part in self.parts):
            self._images = len(output[0][0])
            self._cells = [level.shape[-2:].numel() for level in output[0]]

    def _open_call(self, loss: nn.Module, args: tuple) -> None:
        self._open = []

    def hear_elements(self, elements: Tensor, reduction: str, avg_factor: Any) -> None:
        """See :class:`mmdet.models.losses.listening.Listener`."""
        if self._open is not None and reduction != 'none':
            self._open.append((elements.detach(), elements.numel() if avg_factor is None else avg_factor))

    @torch.no_grad()
    def hear_loss(self, name: str, elements: Tensor, images: Tensor | None, divisor: Any) -> None:
        """See :class:`mmdet.models.losses.listening.Listener`."""
        for part in self.parts:
            if part.loss is None and part.plain_name == name:
                owner = self._owner(part, elements, ()) if images is None else self._one_hot(images)
                self._note(part, elements, owner, divisor)

    @torch.no_grad()
    def _close_call(self, part: LossPart, loss: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        calls, self._open = self._open, None
        elements, divisor = calls[0] if calls else (None, None)
        if part.name in self._lost:
            return
        looked_at = elements is None and part.split and part.rows != EACH  # a part of a loss, or for choosing samples
        labels = args[1][0] if isinstance(args[1], tuple) else args[1]
        rows = labels if elements is None else elements
        if looked_at or not len(rows):
            return
        owner = None if part.rows == EACH else self._owner(part, rows, args)
        if part.counts:
            weights = args[2] if len(args) > 2 else kwargs.get('weight')
            self._note_targets(part, labels, torch.ones_like(labels) if weights is None else weights, owner)
        if part.split and elements is not None:
            self._note(part, elements, owner, divisor)

    def _note(self, part: LossPart, elements: Tensor, owner: Tensor | None, divisor: Any) -> None:
        """Keep the sums of each image's elements (n, ...); see :meth:`_owner`."""
        if owner is None:
            sums = self._by_image(part, elements).sum(1)
        else:  # a row may have several elements
            sums = per_image(elements.reshape(len(owner), -1).sum(1), owner)
        told = told_images()
        self._heard[part.name].append(Heard(sums.float(), divisor if told is None else divisor / told.factor))

    def _note_targets(self, part: LossPart, labels: Tensor, weights: Tensor, owner: Tensor | None) -> None:
        if part.rows == EACH:
            self._targets[part.name].append((labels[None], weights[None]))  # of one image
        elif owner is None:
            by_image = self._by_image(part, labels), self._by_image(part, weights)
            self._targets[part.name].append(by_image)
        else:  # a loss that is looked at several times counts as it was last
            owner = owner if told_present() is None else owner & told_present()[:, None]
            self._targets[part.name] = [(labels, weights, owner)]

    def _by_image(self, part: LossPart, rows: Tensor) -> Tensor:
        """Elements of all rows -> (M, r) those of each image."""
        if part.rows != POINTS:
            return rows.reshape(self._images, -1)
        levels = rows.split([self._images * cells for cells in self._cells])
        return torch.cat([level.reshape(self._images, -1) for level in levels], 1)

    def _owner(self, part: LossPart, rows: Tensor, args: tuple) -> Tensor | None:
        """(n, M) bool, the image of each row; None: all rows of the head, in the order that ``part.rows`` names."""
        chosen, told = told_choice(), told_images()
        if told is not None:
            owner = self._of_counted(told.images, told.counts)
        elif part.rows in (ROIS, MASKS, POSITIVES):
            owner = self._of_rois(part, len(rows) if chosen is None else chosen.total, args)
        elif chosen is None:
            return None
        elif part.rows == POINTS:
            counts = [cells for cells in self._cells for _ in range(self._images)]
            owner = self._of_counted([*range(self._images)] * len(self._cells), counts)
        else:
            return self._one_hot(chosen.numbers // (chosen.total // self._images))
        owner = owner.to(rows.device, non_blocking=True)
        return owner if chosen is None else owner[chosen.numbers]

    def _of_counted(self, images: Sequence[int], counts: Sequence[int]) -> Tensor:
        """(n, M) bool of ``counts[k]`` rows of each image ``images[k]``; on the host."""
        return self._one_hot(torch.tensor(images).repeat_interleave(torch.tensor(counts)))

    def _one_hot(self, images: Tensor) -> Tensor:
        return images[:, None] == torch.arange(self._images, device=images.device)

    def _of_rois(self, part: LossPart, rows: int, args: tuple) -> Tensor:
        """(n, M) bool: the image of each RoI; they are in the order of the images."""
        rois = self._rois_of[id(part.head)]
        # masks may be predicted from the box branch's features of its positives; samples of fixed size have a row for
        # every RoI, and those that are no positives weigh nothing
        of_positives = rows != len(rois) if part.rows in (POSITIVES, MASKS) else rows % len(rois)
        if of_positives:
            count = self._positives.get(id(part.head), self._last_positives)
            # which RoIs are positives, only the device knows; how many of them come before an image's, as well
            ends = count.cumsum(0)
            rank = torch.arange(rows, device=count.device)[:, None]
            return (rank < ends) & (rank >= ends - count)
        owner = self._one_hot(rois[:, 0])
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
        first = next(iter(losses.values()))
        device = (first if isinstance(first, Tensor) else first[0]).device
        rows = {'images': torch.ones(self._images, device=device) * (len(self._numbers) / max(self._images, 1))}
        for part in self.parts:
            if part.name not in losses:
                continue
            if self._divides(part, losses):
                for name, calls in self._calls(part, losses):
                    rows[name] = self._shares(part, losses[name], calls)
            if part.counts:
                rows.update(zip((part.prefix + name for name in COUNTS), self._counts(part, device)))
        table = torch.stack([row.float() for row in rows.values()])  # (R, M)
        # several views of N images come as N, N, ...; from host to device without waiting
        numbers = torch.tensor(self._numbers * (self._images // max(len(self._numbers), 1)))
        member = (numbers[:, None] == torch.arange(len(self.sources))).float().to(device, non_blocking=True)
        values = (table[:, :, None] * member).sum(1)  # (R, M, S) -> (R, S)
        return [f'{row}/{source}' for row in rows for source in self.sources], values.flatten()

    def _divides(self, part: LossPart, losses: Mapping[str, Any]) -> bool:
        """Whether the shares of a loss are known, and it is there."""
        return part.split and part.name in losses and part.name not in self._lost

    def _calls(self, part: LossPart, losses: Iterable[str]) -> Iterator[tuple[str, list[Heard]]]:
        """The losses that a part is, and what was heard of each."""
        heard = self._heard[part.name]
        if part.rows != LAYERS:
            yield part.name, heard
            return
        names = [name for name in losses if name.endswith(part.name)]  # in the order of the calls
        for number, name in enumerate(names):
            yield name, heard[number : number + 1]

    def _shares(self, part: LossPart, loss: Any, heard: Sequence[Heard]) -> Tensor:
        """(M,) of each image in a loss; they add up to it, whatever factor the head put on the loss."""
        values = [t.detach().float().mean() for t in (loss if isinstance(loss, (list, tuple)) else [loss])]
        if part.rows == EACH:
            return torch.stack(values)
        total = sum(values)
        if not heard:  # a loss without rows is a zero on the graph
            return (total / self._images).expand(self._images)
        sums = torch.stack([call.sums for call in heard])
        if not all(is_same(call.divisor, heard[0].divisor) for call in heard[1:]):
            sums = torch.stack([call.sums / call.divisor for call in heard])
        sums = sums.sum(0)
        whole = sums.sum()
        return torch.where(whole == 0, total / self._images, sums * (total / torch.where(whole == 0, 1, whole)))

    def _counts(self, part: LossPart, device: torch.device) -> Tensor:
        """(4, M) of :data:`COUNTS` for each image."""
        targets = self._targets[part.name]
        if not targets:
            return torch.zeros(len(COUNTS), self._images, device=device)
        if len(targets[0]) == 2:
            if part.rows == LAYERS:
                targets = targets[-1:]
            elif part.rows == EACH:  # before them, the loss may have been looked at for the weights of positives
                targets = targets[-self._images :]
            labels, weights = (torch.cat(rows, 0 if part.rows == EACH else 1) for rows in zip(*targets))  # (M, R)
            return torch.stack([value.sum(1) for value in count_targets(labels, weights, part.head.num_classes)])
        labels, weights, owner = targets[0]
        values = torch.stack(count_targets(labels, weights, part.head.num_classes))  # (4, n)
        return (values[:, :, None] * owner).sum(1)

    def _tell_what_is_left_out(self, losses: Mapping[str, Any]) -> None:
        if self._told:
            return
        self._told = True
        logged = [part for part in self.parts if self._divides(part, losses)]
        divided = {name for part in logged for name, _ in self._calls(part, losses)}
        reasons = {part.name: why_not_split(part.loss) for part in self.parts} | self._lost
        unknown = 'no head tells whose rows it is over'
        if self.unknown:
            unknown += f'; heads with losses of their own: {", ".join(self.unknown)}'
        left_out = [
            f'{name} ({reasons.get(name) or unknown})'
            for name in sorted(losses)
            if 'loss' in name and name not in divided
        ]
        if left_out:
            _LOGGER.warning(
                'per_source_log: only logged as a whole, as they cannot be divided among images: %s',
                ', '.join(left_out),
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


def is_same(one: Any, other: Any) -> bool:
    """Whether two divisors are the same, as far as that is known without asking the device."""
    return one is other or (not isinstance(one, Tensor) and not isinstance(other, Tensor) and one == other)


def per_image(values: Tensor, owner: Tensor) -> Tensor:
    """(n,) values of rows, (n, M) bool -> (M,) their sums by image."""
    return (values[:, None] * owner).sum(0)


def count_targets(labels: Tensor, weights: Tensor, num_classes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each row whether it is a positive, a negative, or without weight and so ignored; and its weight."""
    counted = weights > 0
    background = labels == num_classes
    return (counted & ~background).float(), (counted & background).float(), (~counted).float(), weights.float()
