"""The negative policy of an image: how far an anchor or box that belongs to no annotated object counts as background.

Where objects are not annotated, some negatives are objects all the same.

Sources: 'overlap' is Soft Sampling (https://arxiv.org/abs/1806.06986), 'recalibrate' is background recalibration
(https://arxiv.org/abs/2002.05274) in its hard form.
"""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmdet.core.directives.keys import IGNORE_NEGATIVES, NEGATIVES, negative_weight_key, negatives_key
from mmdet.core.directives.weights import first_entry
from mmdet.utils.registry import did_you_mean


class Policy(NamedTuple):
    """How an image's negatives count; fields that are not of its kind have no effect."""

    kind: str = 'all'
    weight: float = 1.0  # soft: of each negative, in [0, 1]
    floor: float = 0.25  # overlap: weight of negatives far from every object, in [0, 1]
    steepness: float = 50.0  # overlap: > 0; the greater, the greater the overlap at which negatives begin to count
    rate: float = 20.0  # overlap: > 0; the greater, the more suddenly they do
    score_thr: float = 0.5  # recalibrate: a negative that scores more as an object does not count, in (0, 1)
    warmup: int = 1000  # recalibrate: iterations before scores are taken into account
    scale: float = 1.0  # of any kind: the image's ``negative_weight``, in [0, 1]

    @property
    def factor(self) -> float:
        """Of the label weight of every negative, as far as it is known without looking at single rows."""
        if self.kind == 'none':
            return 0.0
        return self.scale * (self.weight if self.kind == 'soft' else 1.0)

    def at(self, iteration: int | None) -> 'Policy':
        """The policy as it is at an iteration of the training: before its warm-up, all negatives count.

        Raises:
            RuntimeError: the iteration is needed, but not known (None).
        """
        if self.kind != 'recalibrate' or self.warmup <= 0:
            return self
        if iteration is None:
            raise RuntimeError(
                f"{NEGATIVES}='recalibrate' has a warm-up, but the head does not know the iteration: register "
                'SetIterHook (train_detector does), call follow_iter(iteration), or set warmup=0'
            )
        return self if iteration >= self.warmup else Policy(scale=self.scale)


FIELDS_OF_KINDS = {
    'all': (),
    'none': (),
    'soft': ('weight',),
    'overlap': ('floor', 'steepness', 'rate'),
    'recalibrate': ('score_thr', 'warmup'),
}
ALL = Policy()


def ignores_negatives(img_meta: Mapping[str, Any] | None) -> bool:
    """Whether no negative of this image may be sampled.

    Its ``ignore_negatives`` equals 1 (so True and 1.0 as well), or the policy of its negatives is ``'none'``.
    """
    if not img_meta:
        return False
    return img_meta.get(IGNORE_NEGATIVES, 0) == 1 or negative_policy(img_meta, ()).kind == 'none'


def negative_policy(img_meta: Mapping[str, Any] | None, heads: Sequence[str]) -> Policy:
    """The policy of an image's negatives in the first of the heads that it has one for, else for all heads.

    Its ``scale`` is the ``negative_weight`` of the first of the heads that the image has one for; 1 where it has none.

    Raises:
        ValueError: there is no such policy, or the weight is not in [0, 1].
    """
    found = first_entry(img_meta, [*map(negatives_key, heads), NEGATIVES])
    policy = ALL if found is None else check_policy(*found)
    weight = first_entry(img_meta, list(map(negative_weight_key, heads)))
    return policy if weight is None else policy._replace(scale=check_negative_weight(*weight))


def overlap_weights(overlaps: Tensor, floor: float = 0.25, steepness: float = 50.0, rate: float = 20.0) -> Tensor:
    """Weights of negatives by their overlap with objects (Soft Sampling, https://arxiv.org/abs/1806.06986).

    A Gompertz function: ``floor + (1 - floor) * exp(-steepness * exp(-rate * overlap))``. Negatives at an object are
    known to be none of another; those far from all may be objects that nobody annotated.

    Args:
        overlaps: (n,) greatest IoU with an object, in [0, 1].
        floor: weight without overlap, about.
        steepness: > 0.
        rate: > 0.
    """
    return floor + (1 - floor) * torch.exp(-steepness * torch.exp(-rate * overlaps))


def check_policy(key: str, value: Any) -> Policy:
    """A policy from its name, or from ``dict(type=name, ...)``.

    Raises:
        ValueError: no such policy, a setting that it has not, or an impossible one.
    """
    settings = dict(value) if isinstance(value, Mapping) else dict(type=value)
    kind = settings.pop('type', None)
    if kind not in FIELDS_OF_KINDS:
        raise ValueError(
            f'{key}: expected one of {", ".join(FIELDS_OF_KINDS)}, or a dict whose type is one of them, got {value!r}'
            f'{did_you_mean(str(kind), FIELDS_OF_KINDS)}'
        )
    known = FIELDS_OF_KINDS[kind]
    for name, number in settings.items():
        if name not in known:
            raise ValueError(f'{key}: {kind!r} has no setting {name!r}{did_you_mean(name, known)} It has: {known}')
        if isinstance(number, bool) or not isinstance(number, Real) or not _possible(name, float(number)):
            raise ValueError(f'{key}: {kind!r} with an impossible {name}: {number!r}')
    return Policy(kind, **settings)


def _possible(name: str, number: float) -> bool:
    if name in ('weight', 'floor'):
        return 0 <= number <= 1
    if name == 'score_thr':
        return 0 < number < 1
    return number >= 0 and number == int(number) if name == 'warmup' else 0 < number < float('inf')


def check_negative_weight(key: str, value: Any) -> float:
    """``value`` as a float.

    Raises:
        ValueError: it is no number in [0, 1].
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ValueError(f'{key}: expected a number in [0, 1], got {value!r}')
    return float(value)


def check_ignore_negatives(value: Any) -> None:
    """Check the value of ``ignore_negatives``.

    Raises:
        ValueError: it is neither of 0, 1, False, True and None.
    """
    known = value is None or (isinstance(value, Real) and value in (0, 1))
    if not known:
        raise ValueError(f'{IGNORE_NEGATIVES}: expected 1 (no negative is sampled) or 0 (all count), got {value!r}')
