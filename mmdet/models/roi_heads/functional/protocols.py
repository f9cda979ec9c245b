"""What the functions of the RoI heads ask of the heads in them, whose classes they do not know."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor

from mmdet.core.bbox.samplers.static_shapes import BoxCoding
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets


class BoxHead(BoxCoding, Protocol):
    """A box head, as :class:`BBoxHead` is one; predictions of boxes may be of any kind."""

    loss_cls: Any
    loss: Callable[..., dict[str, Tensor]]
    get_targets: Callable[..., Any]

    def weigh_rows(
        self,
        targets: Targets,
        image_of_row: Tensor,
        img_metas: Sequence[ImgMeta] | None,
        overlaps: Callable[[int], Tensor] | None = None,
        *,
        objects: Callable[[], Tensor] | None = None,
    ) -> Targets:
        """See :meth:`BaseHead.weigh_rows`."""
        ...

    def refine_bboxes(
        self,
        rois: Tensor,
        labels: Tensor,
        bbox_preds: Any,
        pos_is_gts: Sequence[Tensor],
        img_metas: Sequence[ImgMeta],
    ) -> list[Tensor]:
        """See :meth:`BBoxHead.refine_bboxes`."""
        ...


class MaskHead(Protocol):
    """A mask head, as :class:`FCNMaskHead` is one."""

    get_targets: Callable[..., Any]
    get_seg_masks: Callable[..., Any]
