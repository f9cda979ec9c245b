"""Skeletons by name and by fields."""

import numpy as np
import pytest
from pycocotools.cocoeval import Params

from mmdet.core.keypoint import SKELETONS, get_skeleton


def test_person_has_the_sigmas_of_coco():
    assert np.allclose(get_skeleton('coco_person').sigmas, Params('keypoints').kpt_oks_sigmas)


@pytest.mark.parametrize('name', SKELETONS)
def test_pairs_of_known_skeletons_are_left_and_right(name):
    skeleton = get_skeleton(name)
    mirrored = [skeleton.names[i] for i in skeleton.flip_indices]
    exchange = str.maketrans({'<': 'right', '>': 'left'})
    assert mirrored == [n.replace('left', '<').replace('right', '>').translate(exchange) for n in skeleton.names]
    assert all(0 <= point < len(skeleton.names) for limb in skeleton.limbs for point in limb)


def test_skeleton_from_fields():
    skeleton = get_skeleton(dict(names=['l', 'm', 'r'], flip_pairs=[[0, 2]]))
    assert skeleton.flip_indices == [2, 1, 0]
    assert skeleton.sigmas is None
    assert get_skeleton(skeleton) is skeleton


@pytest.mark.parametrize(
    'wrong, message',
    [
        ('coco_persn', 'coco_person'),
        (dict(flip_pairs=[(0, 1)]), 'names'),
        (dict(names=['a'], flip_pairs=[(0, 1)]), 'flip_pairs'),
        (dict(names=['a', 'b', 'c'], flip_pairs=[(0, 1), (1, 2)]), 'two of the flip_pairs'),
        (dict(names=['a', 'b'], limbs=[(0, 2)]), 'limbs'),
        (dict(names=['a', 'b'], sigmas=[0.1]), '2 sigmas'),
    ],
)
def test_wrong_skeleton_says_what_is_wrong(wrong, message):
    with pytest.raises(ValueError, match=message):
        get_skeleton(wrong)


def test_skeleton_of_another_type_is_refused():
    with pytest.raises(TypeError, match='int'):
        get_skeleton(17)
