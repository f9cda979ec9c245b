"""Dense heads whose losses change image by image: ``rpn_head.loss_weight`` and its kin."""

from typing import Any

from torch import Tensor

from mmdet.core.bbox.iou_calculators.iou2d_calculator import greatest_overlaps
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets, matched_objects
from mmdet.models.builder import HEADS
from mmdet.models.dense_heads.rpn_head import RPNHead

# what the mixin comes before is known to the classes below alone
Mixed: Any = object


class HeadWithWeightPerImage(Mixed):
    """Mixin that turns weights of images on for heads derived from ``AnchorHead``, also for targets of single images.

    ``class MyHead(HeadWithWeightPerImage, RetinaHead)``. The weight w of an image scales its label and box weights
    alike and leaves the losses' divisor as it is: it makes w times that image's loss and gradient, 0 included, and the
    other images' stay as they were. Absent means 1. ``RetinaHeadWithWeightPerImage``, which the registry makes, does
    the same to the losses and leaves ``_get_targets_single`` as the head has it.
    """

    weighs_images = True
    _weighs_batch = False  # whether get_targets, which weighs the whole batch, is at work

    def get_targets(self, *args: Any, **kwargs: Any) -> tuple:
        """The next head's targets of a batch, weighed by it."""
        self._weighs_batch = True
        try:
            return super().get_targets(*args, **kwargs)
        finally:
            self._weighs_batch = False

    def _get_targets_single(
        self,
        flat_anchors: Tensor,
        valid_flags: Tensor,
        gt_bboxes: Tensor,
        gt_bboxes_ignore: Tensor | None,
        gt_labels: Tensor | None,
        img_meta: ImgMeta,
        label_channels: int = 1,
        unmap_outputs: bool = True,
    ) -> tuple:
        """The next head's targets of one image, its label weights (item 1) and box weights (item 3) scaled."""
        targets = super()._get_targets_single(
            flat_anchors,
            valid_flags,
            gt_bboxes,
            gt_bboxes_ignore,
            gt_labels,
            img_meta,
            label_channels=label_channels,
            unmap_outputs=unmap_outputs,
        )
        if self._weighs_batch:
            return targets
        batch = Targets(*(part[None] for part in targets[:4]))
        weighed = self.weigh(
            batch,
            [img_meta],
            lambda _: greatest_overlaps(flat_anchors, gt_bboxes),
            objects=lambda: matched_objects(batch.labels, self.num_classes, targets[6:7]),
        )
        if weighed is batch:
            return targets
        return (*(part[0] for part in weighed), *targets[4:])


@HEADS.register_module()
class RPNHeadWithWeightPerImage(HeadWithWeightPerImage, RPNHead):
    """``RPNHead`` with the loss weight of each image; arguments, parameters and checkpoint keys are the same."""

    has_static_shapes = True
