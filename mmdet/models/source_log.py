"""Every loss also by source: how much of it the images of each data set of a mixture make.

Losses are linear in the loss weights of the images, so image i's part of a loss L is ``w_i * dL/dw_i``. While a step is
recorded, the weights that heads read are leaves of the graph (ones where an image has none), and the derivatives are
asked for, which walks from each loss back to the weights only. The losses themselves stay as they are, and no value is
read from the device before the log is.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmdet.core.directives import BatchDirectives
from mmdet.core.targets import Targets
from mmdet.models.directives import directives_of

_LOGGER = logging.getLogger('mmdet')

# What is counted of the targets of a classification loss, by the names in the log.
COUNTS = ('pos', 'neg', 'ignored', 'weight')
SOURCE = 'source'
# The parts of a linear loss add up to it but for rounding.
RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-3, 1e-6


class _Weights(NamedTuple):
    """Loss weights that a head has read in this step."""

    weights: Tensor  # (N,), a leaf
    member: Tensor  # (N, S) 1 where the image is of the source
    targets: list[tuple[Targets, Tensor, int]]  # that they weighed, the image of each row, label of background


class SourceLog:
    """Parts of the sources in the losses, and counts of their targets, step by step.

    Covered is every head that reads directives (see ``mmdet.models.directives``), on or off. A loss whose parts do not
    add up to it, since it is not linear in the weights or no head weighs its rows, is only logged as a whole; one
    warning names it.

    Args:
        model: the detector.
        sources: names of all sources. Each step logs all of them, so that means over steps and processes are those of
            the same things.
    """

    def __init__(self, model: nn.Module, sources: Sequence[str]) -> None:
        self.sources = list(sources)
        self.heads = [module for module in model.modules() if getattr(module, 'directive_head', None) is not None]
        self.divided: dict[str, bool] = {}  # of each loss that has been seen with a value, whether it falls into parts
        self._numbers: list[int] = []
        self._read: list[_Weights] = []

    @contextmanager
    def recording(self, img_metas: Sequence[Mapping[str, Any]]) -> Iterator[None]:
        """Record while the losses of a batch are computed.

        Args:
            img_metas: of its N images, with ``source``.

        Raises:
            KeyError: an image has no source, or another one.
        """
        self._numbers = [source_number(meta, self.sources) for meta in img_metas]
        self._read = []
        for head in self.heads:
            directives_of(head).record = self
        try:
            yield
        finally:
            for head in self.heads:
                directives_of(head).record = None

    def note_weights(self, loss_weights: Tensor, img_metas: Sequence[Mapping[str, Any]]) -> None:
        """See :class:`mmdet.core.directives.batch.Recorder`."""
        numbers = [source_number(meta, self.sources) for meta in img_metas]
        self._read.append(_Weights(loss_weights, self._members(numbers, loss_weights.device), []))

    def note_targets(self, targets: Targets, image_of_row: Tensor, directives: BatchDirectives) -> None:
        """See :class:`mmdet.core.directives.batch.Recorder`."""
        read = next(read for read in reversed(self._read) if read.weights is directives.loss_weights)
        read.targets.append((targets, image_of_row, directives.num_classes))

    def _members(self, numbers: Sequence[int], device: torch.device) -> Tensor:
        """(N, S) 1 where an image is of a source; the copy is not waited for."""
        one_hot = torch.tensor(numbers)[:, None] == torch.arange(len(self.sources))
        return one_hot.float().to(device, non_blocking=True)

    def entries(self, losses: Mapping[str, Any]) -> tuple[list[str], Tensor]:
        """What the step's log shows beside the losses.

        Args:
            losses: what the model gave while :meth:`recording`.

        Returns:
            Names, ``loss_rpn_cls/SOURCE``, and values (n,). Those of a loss add up to it.
        """
        values = {name: _total(value) for name, value in losses.items() if 'loss' in name}
        device = next(iter(values.values())).device
        rows = {'images': self._members(self._numbers, device).sum(0)}
        for name, loss in values.items():
            if not self.divided.get(name, True):
                continue
            parts, of_loss = self._parts(loss)
            rows[name] = parts
            if of_loss and is_counted(name):
                prefix = name.replace('loss_', '')[: -len('cls')]
                rows.update(zip((prefix + kind for kind in COUNTS), self._counts(of_loss, device)))
        self._read = []  # they hold the graph
        names = [f'{row}/{source}' for row in rows for source in self.sources]
        return names, torch.cat(list(rows.values())).detach()

    def _parts(self, loss: Tensor) -> tuple[Tensor, list[_Weights]]:
        """(S,) parts of the sources in a loss, and the weights that it depends on."""
        parts = loss.new_zeros(len(self.sources), dtype=torch.float32)
        if not loss.requires_grad or not self._read:
            return parts, []
        leaves = [read.weights for read in self._read]
        # retained, as the step itself still goes back through it; a loss of another head does not depend on these
        # weights
        grads = torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)
        of_loss = [(read, grad) for read, grad in zip(self._read, grads) if grad is not None]
        for read, grad in of_loss:
            parts = parts + sum_by_source(read.weights.detach() * grad, read.member)
        return parts, [read for read, _ in of_loss]

    @torch.no_grad()
    def _counts(self, of_loss: Sequence[_Weights], device: torch.device) -> Tensor:
        """(4, S) of :data:`COUNTS` for each source."""
        total = torch.zeros(len(COUNTS), len(self.sources), device=device)
        for read in of_loss:
            for targets, image_of_row, background in read.targets:
                counts = count_targets(targets, image_of_row, background, len(read.weights))
                total = total + sum_by_source(counts, read.member)
        return total

    def leave_out_undivided(self, log_vars: dict[str, float | Tensor]) -> None:
        """Take the parts of losses that they do not add up to out of a step's log, and decide what later steps log.

        Args:
            log_vars: of the step, as means over all processes, so that all of them decide alike.
        """
        undecided = [name for name in log_vars if f'{name}/{self.sources[0]}' in log_vars and 'loss' in name]
        left_out = []
        for name in undecided:
            if name in self.divided:
                continue
            whole, parts = float(log_vars[name]), sum(float(log_vars[f'{name}/{s}']) for s in self.sources)
            # compared after the mean over processes: each alone may have had no image of a source, and all must log the
            # same names
            adds_up = abs(whole - parts) <= RELATIVE_TOLERANCE * abs(whole) + ABSOLUTE_TOLERANCE
            if adds_up and whole == 0:
                continue  # nothing can be said yet
            self.divided[name] = adds_up
            if not adds_up:
                left_out.append(f'{name} (of {whole:.4g}, its parts make {parts:.4g})')
                for source in self.sources:
                    del log_vars[f'{name}/{source}']
        if left_out:
            _LOGGER.warning(
                'per_source_log: only logged as a whole, as they are not linear in the weights of the images, or no '
                'head weighs their rows: %s',
                ', '.join(left_out),
            )

    def charts(self) -> dict[str, list[str]]:
        """Loss -> its name and those of its parts, as the log has them, of the losses that have been seen."""
        names = [name for name, divided in self.divided.items() if divided]
        return {name: [name, *(f'{name}/{source}' for source in self.sources)] for name in names}


def _total(value: Tensor | Sequence[Any]) -> Tensor:
    if isinstance(value, Tensor):
        return value.float().mean()
    return torch.stack([_total(part) for part in value]).sum()


def sum_by_source(values: Tensor, member: Tensor) -> Tensor:
    """Values (..., N) of images -> (..., S); a product of matrices would have half precision under autocast."""
    return (values[..., None] * member).sum(-2)


def is_counted(name: str) -> bool:
    """Whether the targets of a loss of that name are counted: of classifications, those of a last layer."""
    layer = name.rpartition('.')[0]
    of_earlier_layer = name.startswith('enc_') or (layer.startswith('d') and layer[1:].isdigit())
    return name.endswith('cls') and not name.endswith('bbox_cls') and not of_earlier_layer


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


def count_targets(targets: Targets, image_of_row: Tensor, background: int, num_images: int) -> Tensor:
    """(4, N) for each image its positives, negatives, rows without weight (so ignored), and the sum of weights.

    Rows whose image is -1 only fill up.
    """
    labels, weights = targets.labels, targets.label_weights
    weights = weights if weights.ndim == labels.ndim else weights.amax(-1)  # a weight for each class
    counted, negative = weights > 0, labels == background
    values = torch.stack([(counted & ~negative).float(), (counted & negative).float(), (~counted).float(), weights])
    images = image_of_row.expand_as(labels).remainder(num_images + 1).flatten()  # -1 -> N
    sums = values.new_zeros(len(values), num_images + 1).index_add(1, images, values.flatten(1))
    return sums[:, :num_images]
