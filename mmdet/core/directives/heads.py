"""What a head of a model reads of the directives; known without the model."""

from collections.abc import Mapping
from typing import NamedTuple

from mmdet.core.directives.keys import BBOX_HEAD, ROI_HEAD, RPN_HEAD


class ObeyingHead(NamedTuple):
    """What a head obeys."""

    names: tuple[str, ...]  # whose directives count; the first that an image has
    has_negatives: bool = False  # its loss has terms of negatives
    knows_classes: bool = False  # these heed which classes are annotated
    ignores: bool = False  # its sampler obeys ``ignore_negatives``


# A two-stage detector without masks, whose samplers obey.
TWO_STAGES: Mapping[str, ObeyingHead] = {
    RPN_HEAD: ObeyingHead((RPN_HEAD,), has_negatives=True, ignores=True),
    BBOX_HEAD: ObeyingHead((BBOX_HEAD, ROI_HEAD), has_negatives=True, knows_classes=True, ignores=True),
}
