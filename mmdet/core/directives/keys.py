"""The keys of the directives: spelt here and nowhere else."""

from collections.abc import Sequence
from typing import Any

RPN_HEAD = 'rpn_head'
ROI_HEAD = 'roi_head'
BBOX_HEAD = 'bbox_head'
MASK_HEAD = 'mask_head'
KEYPOINT_HEAD = 'keypoint_head'
SEMANTIC_HEAD = 'semantic_head'
GLBCTX_HEAD = 'glbctx_head'
# only heads that read directives: a key that nothing reads must be an error
WEIGHTED_HEADS = (RPN_HEAD, ROI_HEAD, BBOX_HEAD, MASK_HEAD, KEYPOINT_HEAD, SEMANTIC_HEAD, GLBCTX_HEAD)
HEADS_WITH_NEGATIVES = (RPN_HEAD, ROI_HEAD, BBOX_HEAD)

IGNORE_NEGATIVES = 'ignore_negatives'
NEGATIVES = 'negatives'
LABELED_CLASSES = 'labeled_classes'
UNLABELED_CLASSES = 'unlabeled_classes'
CLASS_KEYS = (LABELED_CLASSES, UNLABELED_CLASSES)
PSEUDO_LABELS = 'pseudo_labels'
COMPLETE = 'complete'  # its value: a teacher completes the image's labels
# weights of single objects: a part of the ground truth, which travels with the directives
OBJECT_WEIGHTS = 'gt_weights'


def loss_weight_key(head: str) -> str:
    """``'rpn_head'`` -> ``'rpn_head.loss_weight'``; the dot is part of the flat key."""
    return f'{head}.loss_weight'


def negative_weight_key(head: str) -> str:
    """``'rpn_head'`` -> ``'rpn_head.negative_weight'``."""
    return f'{head}.negative_weight'


def negatives_key(head: str) -> str:
    """``'rpn_head'`` -> ``'rpn_head.negatives'``."""
    return f'{head}.{NEGATIVES}'


def unlabelled_directives(heads: Sequence[str] = (RPN_HEAD, ROI_HEAD)) -> dict[str, Any]:
    """The directives of an image without annotations: none of its negatives is sampled, and no head learns from it.

    Args:
        heads: names of heads with a weight for each image.
    """
    return {IGNORE_NEGATIVES: 1, **{loss_weight_key(head): 0.0 for head in heads}}


LOSS_WEIGHT_KEYS = tuple(map(loss_weight_key, WEIGHTED_HEADS))
NEGATIVE_WEIGHT_KEYS = tuple(map(negative_weight_key, HEADS_WITH_NEGATIVES))
NEGATIVES_KEYS = (NEGATIVES, *map(negatives_key, HEADS_WITH_NEGATIVES))
KNOWN_DIRECTIVES = (
    *LOSS_WEIGHT_KEYS, IGNORE_NEGATIVES, *NEGATIVE_WEIGHT_KEYS, *NEGATIVES_KEYS, *CLASS_KEYS, PSEUDO_LABELS,
)  # fmt: skip
# an unknown key that ends so is a mistake, however it begins
DIRECTIVE_ENDS = ('.loss_weight', '.negative_weight', f'.{NEGATIVES}')
