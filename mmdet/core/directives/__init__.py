"""The per-image training directives: the only place that knows the keys of ``img_metas`` which carry them.

A directive is a plain value in an image's ``img_metas``. ``AddFieldToImgMetas`` puts it there; heads and samplers ask
this package and never spell a key themselves.

============================= ======================================== ===============================================
key                           value                                    effect
============================= ======================================== ===============================================
``<head>.loss_weight``        finite number >= 0; absent means 1       the image's targets weigh so much in the
                                                                       losses of that head
``ignore_negatives``          1, True or 1.0 switch it on; 0, False or no negative of the image is sampled
                              None leave it off; absent means off
``<head>.negative_weight``    number in [0, 1]; absent means 1         the image's negatives weigh so much in the
                                                                       classification loss of that head
``negatives``,                ``'all'`` (absent), ``'none'``,          how far the image's negatives count, in
``<head>.negatives``          ``'soft'``, ``'overlap'``,               all heads or in one
                              ``'recalibrate'``, or
                              ``dict(type=..., ...)``
``labeled_classes``,          names or labels of classes               the classes that are, or are not, annotated in
``unlabeled_classes``                                                  the image: a negative is evidence against the
                                                                       labelled ones alone
``pseudo_labels``             ``'complete'``; absent or None: off      the model's teacher completes its labels
============================= ======================================== ===============================================
"""

from mmdet.core.directives.apply import CANNOT_TELL, mask_negatives, row_weights, weigh
from mmdet.core.directives.batch import TWO_STAGES, BatchDirectives, HeadDirectives
from mmdet.core.directives.classes import (
    background_or_any,
    check_one_class_key,
    resolve_classes,
    resolve_file_classes,
    restricts_classes,
    unlabelled_classes,
    unlabelled_mask,
    without_classes,
)
from mmdet.core.directives.keys import (
    BBOX_HEAD,
    CLASS_KEYS,
    COMPLETE,
    GLBCTX_HEAD,
    HEADS_WITH_NEGATIVES,
    IGNORE_NEGATIVES,
    KEYPOINT_HEAD,
    KNOWN_DIRECTIVES,
    LABELED_CLASSES,
    MASK_HEAD,
    NEGATIVES,
    OBJECT_WEIGHTS,
    PSEUDO_LABELS,
    ROI_HEAD,
    RPN_HEAD,
    SEMANTIC_HEAD,
    UNLABELED_CLASSES,
    WEIGHTED_HEADS,
    loss_weight_key,
    negative_weight_key,
    negatives_key,
    unlabelled_directives,
)
from mmdet.core.directives.negatives import (
    Policy,
    check_ignore_negatives,
    ignores_negatives,
    negative_policy,
    overlap_weights,
)
from mmdet.core.directives.reading import (
    Directives,
    check_directive,
    check_directive_name,
    describe,
    describe_lines,
    effective_keys,
    read_directives,
)
from mmdet.core.directives.weights import (
    check_loss_weight,
    loss_weight,
    object_weights,
    with_object_weights,
)

__all__ = [
    'BBOX_HEAD',
    'BatchDirectives',
    'CANNOT_TELL',
    'CLASS_KEYS',
    'COMPLETE',
    'Directives',
    'GLBCTX_HEAD',
    'HEADS_WITH_NEGATIVES',
    'HeadDirectives',
    'IGNORE_NEGATIVES',
    'KEYPOINT_HEAD',
    'KNOWN_DIRECTIVES',
    'LABELED_CLASSES',
    'MASK_HEAD',
    'NEGATIVES',
    'OBJECT_WEIGHTS',
    'PSEUDO_LABELS',
    'Policy',
    'ROI_HEAD',
    'RPN_HEAD',
    'SEMANTIC_HEAD',
    'TWO_STAGES',
    'UNLABELED_CLASSES',
    'WEIGHTED_HEADS',
    'background_or_any',
    'check_directive',
    'check_directive_name',
    'check_ignore_negatives',
    'check_loss_weight',
    'check_one_class_key',
    'describe',
    'describe_lines',
    'effective_keys',
    'ignores_negatives',
    'loss_weight',
    'loss_weight_key',
    'mask_negatives',
    'negative_policy',
    'negative_weight_key',
    'negatives_key',
    'object_weights',
    'overlap_weights',
    'read_directives',
    'resolve_classes',
    'resolve_file_classes',
    'restricts_classes',
    'row_weights',
    'unlabelled_classes',
    'unlabelled_directives',
    'unlabelled_mask',
    'weigh',
    'with_object_weights',
    'without_classes',
]
