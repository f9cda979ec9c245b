"""What the keypoints of an object are: names, which are left and right, what connects them, how exact they are."""

from typing import Any, NamedTuple

from mmdet.utils.registry import did_you_mean

Pair = tuple[int, int]


class Skeleton(NamedTuple):
    """K keypoints; points are numbered from 0 in the order of ``names``."""

    names: tuple[str, ...]  # (K,)
    flip_pairs: tuple[Pair, ...] = ()  # points that change places in a mirrored image
    limbs: tuple[Pair, ...] = ()  # points that a line connects in pictures
    sigmas: tuple[float, ...] | None = None  # (K,) standard deviation of people's marks / square root of the area

    @property
    def flip_indices(self) -> list[int]:
        """(K,): where in the points of an image each point of its mirror image comes from."""
        indices = list(range(len(self.names)))
        for first, second in self.flip_pairs:
            indices[first], indices[second] = second, first
        return indices


_PERSON = (
    ('nose', 0.026),
    ('left_eye', 0.025),
    ('right_eye', 0.025),
    ('left_ear', 0.035),
    ('right_ear', 0.035),
    ('left_shoulder', 0.079),
    ('right_shoulder', 0.079),
    ('left_elbow', 0.072),
    ('right_elbow', 0.072),
    ('left_wrist', 0.062),
    ('right_wrist', 0.062),
    ('left_hip', 0.107),
    ('right_hip', 0.107),
    ('left_knee', 0.087),
    ('right_knee', 0.087),
    ('left_ankle', 0.089),
    ('right_ankle', 0.089),
)

# https://cocodataset.org/#keypoints-eval
COCO_PERSON = Skeleton(
    names=tuple(name for name, _ in _PERSON),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    limbs=(
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8)),
        *((7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
    ),
    sigmas=tuple(sigma for _, sigma in _PERSON),
)

# of the drawn shapes (tools/dataset_converters/make_shapes.py): the corners of the frame of a shape, and its middle
SHAPE = Skeleton(
    names=('top_left', 'top_right', 'bottom_right', 'bottom_left', 'centre'),
    flip_pairs=((0, 1), (2, 3)),
    limbs=((0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (1, 4), (2, 4), (3, 4)),
    sigmas=(0.05,) * 5,
)

SKELETONS = dict(coco_person=COCO_PERSON, shape=SHAPE)


def get_skeleton(skeleton: str | dict[str, Any] | Skeleton) -> Skeleton:
    """A skeleton by its name in ``SKELETONS``, or from the fields of :class:`Skeleton`.

    Args:
        skeleton: a name, or a dict with ``names`` and, as far as they are needed, ``flip_pairs``, ``limbs`` and
            ``sigmas``.

    Raises:
        ValueError: an unknown name or field, a point that does not exist or is in two pairs, or sigmas that do not fit.
        TypeError: something else.
    """
    if isinstance(skeleton, Skeleton):
        return skeleton
    if isinstance(skeleton, str):
        if skeleton not in SKELETONS:
            raise ValueError(
                f'skeleton {skeleton!r} is unknown{did_you_mean(skeleton, SKELETONS)} Known: {", ".join(SKELETONS)}'
            )
        return SKELETONS[skeleton]
    if not isinstance(skeleton, dict):
        raise TypeError(f'skeleton: expected a name or a dict of fields, got {type(skeleton).__name__}')
    unknown = sorted(set(skeleton) - set(Skeleton._fields))
    if unknown or 'names' not in skeleton:
        raise ValueError(f'skeleton: expected names and maybe {Skeleton._fields[1:]}, got {sorted(skeleton)}')
    made = Skeleton(
        names=tuple(skeleton['names']),
        flip_pairs=tuple(tuple(pair) for pair in skeleton.get('flip_pairs', ())),
        limbs=tuple(tuple(pair) for pair in skeleton.get('limbs', ())),
        sigmas=None if skeleton.get('sigmas') is None else tuple(skeleton['sigmas']),
    )
    _check(made)
    return made


def _check(skeleton: Skeleton) -> None:
    count = len(skeleton.names)
    for field in ('flip_pairs', 'limbs'):
        for pair in getattr(skeleton, field):
            if len(pair) != 2 or not all(0 <= point < count for point in pair):
                raise ValueError(f'skeleton: {field} has {pair}; expected two numbers below {count}')
    paired = [point for pair in skeleton.flip_pairs for point in pair]
    if len(set(paired)) != len(paired):
        raise ValueError(f'skeleton: a point is in two of the flip_pairs {skeleton.flip_pairs}')
    if skeleton.sigmas is not None and (len(skeleton.sigmas) != count or min(skeleton.sigmas) <= 0):
        raise ValueError(f'skeleton: expected {count} sigmas above 0, got {skeleton.sigmas}')
