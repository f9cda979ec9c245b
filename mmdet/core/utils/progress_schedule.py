"""A number that follows the progress of a training: schedules as functions of how far it is."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from mmdet.utils.registry import did_you_mean

POLICIES = ('constant', 'linear', 'sigmoid', 'points')


def sigmoid_ramp(fraction: float, gamma: float = 10.0) -> float:
    """The ramp ``2 / (1 + exp(-gamma * fraction)) - 1`` (Ganin and Lempitsky 2015, https://arxiv.org/abs/1409.7495).

    Args:
        fraction: in [0, 1].
        gamma: steepness at the beginning; the value at 1 is ``tanh(gamma / 2)``.
    """
    return 2 / (1 + math.exp(-gamma * fraction)) - 1


def through_points(position: float, points: Sequence[tuple[float, float]]) -> float:
    """Straight lines through ``points``, (position, value) in rising order; level outside of them."""
    if position <= points[0][0]:
        return float(points[0][1])
    for (left, low), (right, high) in zip(points, points[1:]):
        if position < right:
            return low + (high - low) * (position - left) / (right - left)
    return float(points[-1][1])


class ProgressSchedule(NamedTuple):
    """A number as a function of the progress of a training; :func:`checked_schedule` makes one from a config.

    Below ``begin`` the value is ``start``. From there to ``end`` the fraction
    ``s = (progress - begin) / (end - begin)``
    of the way from ``start`` to ``value`` is gone:

    * ``constant``: all of it at once;
    * ``linear``: ``s``;
    * ``sigmoid``: :func:`sigmoid_ramp` of ``s``, steep at first; at the end ``tanh(gamma / 2)`` of the way is gone;
    * ``points``: no fraction; the value lies on straight lines through ``points``.

    Beyond ``end`` it stays. ``begin``, ``end`` and the positions of ``points`` have the unit of the progress that
    :meth:`at` is given: a fraction of the training in [0, 1], or epochs.
    """

    policy: str = 'constant'
    value: float = 1.0
    start: float = 0.0
    begin: float = 0.0
    end: float = 1.0
    gamma: float = 10.0
    points: tuple[tuple[float, float], ...] = ()

    def at(self, progress: float) -> float:
        """The value at some progress."""
        if self.policy == 'points':
            return through_points(progress, self.points)
        if progress < self.begin:
            return self.start
        return self.start + (self.value - self.start) * self._gone(progress)

    def _gone(self, progress: float) -> float:
        if self.policy == 'constant':
            return 1.0
        span = self.end - self.begin
        fraction = min((progress - self.begin) / span, 1.0) if span else 1.0
        return fraction if self.policy == 'linear' else sigmoid_ramp(fraction, self.gamma)


def checked_schedule(where: str, **settings) -> ProgressSchedule:
    """A schedule from a config.

    Args:
        where: name of the setting, for messages.
        settings: fields of :class:`ProgressSchedule`.

    Raises:
        TypeError: an unknown field.
        ValueError: an unknown policy, ``end`` before ``begin``, or points that are missing, or not in rising order.
    """
    for key in settings:
        if key not in ProgressSchedule._fields:
            raise TypeError(
                f'{where} has no {key!r}{did_you_mean(key, ProgressSchedule._fields)} '
                f'It has: {", ".join(ProgressSchedule._fields)}'
            )
    points = tuple((float(position), float(value)) for position, value in settings.pop('points', ()))
    schedule = ProgressSchedule(**settings, points=points)
    if schedule.policy not in POLICIES:
        raise ValueError(
            f'{where}: there is no policy {schedule.policy!r}{did_you_mean(str(schedule.policy), POLICIES)} '
            f'Known: {", ".join(POLICIES)}'
        )
    if schedule.end < schedule.begin:
        raise ValueError(f'{where}: end ({schedule.end}) lies before begin ({schedule.begin})')
    if (schedule.policy == 'points') != bool(points):
        raise ValueError(f"{where}: policy='points' and points=[(position, value), ...] need each other")
    if any(right[0] <= left[0] for left, right in zip(points, points[1:])):
        raise ValueError(f'{where}: the positions of the points must rise, got {[p for p, _ in points]}')
    return schedule
