"""AutoAugment: one of several lists of steps; and the public path of the steps with a level."""

import copy
from collections.abc import Sequence

import numpy as np

from mmdet.datasets.pipelines.compose import Compose
from mmdet.datasets.pipelines.transforms.levelled_colour import (
    BrightnessTransform,
    ColorTransform,
    ContrastTransform,
    EqualizeTransform,
)
from mmdet.datasets.pipelines.transforms.levelled_geometry import Rotate, Shear, Translate
from mmdet.datasets.pipelines.transforms.levels import enhance_level_to_value, level_to_value, random_negative
from mmdet.datasets.registry import PIPELINES


def bbox2fields() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Names of the labels, the masks and the segmentation maps that go with the names of boxes."""
    bbox2label = {'gt_bboxes': 'gt_labels', 'gt_bboxes_ignore': 'gt_labels_ignore'}
    bbox2mask = {'gt_bboxes': 'gt_masks', 'gt_bboxes_ignore': 'gt_masks_ignore'}
    bbox2seg = {'gt_bboxes': 'gt_semantic_seg'}
    return bbox2label, bbox2mask, bbox2seg


@PIPELINES.register_module()
class AutoAugment:
    """Run one of several lists of steps, drawn for each image (https://arxiv.org/abs/1906.11172).

    Args:
        policies: lists of configs of steps; each list is one choice.

    Raises:
        ValueError: there is no list, or one is empty or no list of configs.
    """

    def __init__(self, policies: Sequence[Sequence[dict]]) -> None:
        if not isinstance(policies, (list, tuple)) or not policies:
            raise ValueError('AutoAugment: policies must be a list of at least one list of steps')
        for policy in policies:
            is_steps = isinstance(policy, (list, tuple)) and policy
            if not is_steps or not all(isinstance(step, dict) and 'type' in step for step in policy):
                raise ValueError(f'AutoAugment: a policy must be a list of dict(type=...), got {policy!r}')
        self.policies = copy.deepcopy(policies)
        self.transforms = [Compose(policy) for policy in self.policies]

    def __call__(self, results: dict) -> dict | None:
        return self.transforms[np.random.choice(len(self.transforms))](results)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(policies={self.policies})'


__all__ = [
    'AutoAugment',
    'BrightnessTransform',
    'ColorTransform',
    'ContrastTransform',
    'EqualizeTransform',
    'Rotate',
    'Shear',
    'Translate',
    'bbox2fields',
    'enhance_level_to_value',
    'level_to_value',
    'random_negative',
]
