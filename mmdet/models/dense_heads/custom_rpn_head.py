"""Dense heads that weigh each image's targets by its loss weight directive."""

from torch import Tensor

from mmdet.core.directives import RPN_HEAD, loss_weight, scale_weights
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.rpn_head import RPNHead


class HeadWithWeightPerImage:
    """Mixin: the losses of an image count ``img_meta['rpn_head.loss_weight']`` times.

    Put it before a head derived from ``AnchorHead``: ``class MyHead(HeadWithWeightPerImage, RetinaHead)``. The weight
    scales the image's label and box weights alike and leaves the losses' divisor as it is: weight w makes w times that
    image's loss and gradient, 0 included, and the other images' stay as they were. Absent means 1.

    Attributes:
        directive_head: the head whose ``loss_weight`` is read; a subclass may name another one of
            ``mmdet.core.directives.WEIGHTED_HEADS``.
    """

    directive_head: str = RPN_HEAD

    def _get_targets_single(
        self,
        flat_anchors: Tensor,
        valid_flags: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: dict,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple:
        """The next head's targets of one image, its label weights (item 1) and box weights (item 3) scaled."""
        labels, label_weights, bbox_targets, bbox_weights, *rest = super()._get_targets_single(
            flat_anchors,
            valid_flags,
            gt_bboxes,
            gt_bboxes_ignore,
            gt_labels,
            img_meta,
            label_channels=label_channels,
            unmap_outputs=unmap_outputs,
        )
        weight = loss_weight(img_meta, self.directive_head)
        label_weights, bbox_weights = scale_weights(label_weights, bbox_weights, weight)
        return (labels, label_weights, bbox_targets, bbox_weights, *rest)


@HEADS.register_module()
class RPNHeadWithWeightPerImage(HeadWithWeightPerImage, RPNHead):
    """``RPNHead`` with the loss weight of each image; arguments, parameters and checkpoint keys are the same."""
