"""Which losses of a model fall into images, and how their rows stand: what the log by source is made from."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import nn

from mmdet.models.dense_heads.anchor_head import AnchorHead
from mmdet.models.dense_heads.atss_head import ATSSHead
from mmdet.models.dense_heads.cascade_rpn_head import StageCascadeRPNHead
from mmdet.models.dense_heads.deformable_detr_head import DeformableDETRHead
from mmdet.models.dense_heads.detr_head import DETRHead
from mmdet.models.dense_heads.fcos_head import FCOSHead
from mmdet.models.dense_heads.fovea_head import FoveaHead
from mmdet.models.dense_heads.free_anchor_retina_head import FreeAnchorRetinaHead
from mmdet.models.dense_heads.fsaf_head import FSAFHead
from mmdet.models.dense_heads.ga_rpn_head import GARPNHead
from mmdet.models.dense_heads.gfl_head import GFLHead
from mmdet.models.dense_heads.guided_anchor_head import GuidedAnchorHead
from mmdet.models.dense_heads.pisa_retinanet_head import PISARetinaHead
from mmdet.models.dense_heads.pisa_ssd_head import PISASSDHead
from mmdet.models.dense_heads.rpn_head import RPNHead
from mmdet.models.dense_heads.sabl_retina_head import SABLRetinaHead
from mmdet.models.dense_heads.ssd_head import SSDHead
from mmdet.models.losses.balanced_l1_loss import BalancedL1Loss
from mmdet.models.losses.cross_entropy_loss import CrossEntropyLoss
from mmdet.models.losses.dice_loss import DiceLoss
from mmdet.models.losses.focal_loss import FocalLoss
from mmdet.models.losses.gfocal_loss import DistributionFocalLoss, QualityFocalLoss
from mmdet.models.losses.ghm_loss import GHMC, GHMR
from mmdet.models.losses.iou_loss import BoundedIoULoss, CIoULoss, DIoULoss, GIoULoss, IoULoss
from mmdet.models.losses.mse_loss import MSELoss
from mmdet.models.losses.smooth_l1_loss import L1Loss, SmoothL1Loss
from mmdet.models.losses.smoothed_loss import SmoothedLoss
from mmdet.models.losses.varifocal_loss import VarifocalLoss
from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
from mmdet.models.roi_heads.bbox_heads.dii_head import DIIHead
from mmdet.models.roi_heads.bbox_heads.sabl_head import SABLHead
from mmdet.models.roi_heads.keypoint_heads.fcn_keypoint_head import FCNKeypointHead
from mmdet.models.roi_heads.mask_heads.dynamic_mask_head import DynamicMaskHead
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import FCNMaskHead
from mmdet.models.roi_heads.mask_heads.fused_semantic_head import FusedSemanticHead
from mmdet.models.roi_heads.mask_heads.global_context_head import GlobalContextHead
from mmdet.models.roi_heads.mask_heads.grid_head import GridHead
from mmdet.models.roi_heads.mask_heads.mask_point_head import MaskPointHead
from mmdet.models.roi_heads.mask_heads.maskiou_head import MaskIoUHead
from mmdet.models.roi_heads.pisa_roi_head import PISARoIHead
from mmdet.models.roi_heads.sparse_roi_head import SparseRoIHead
from mmdet.models.seg_heads.base_semantic_head import BaseSemanticHead
from mmdet.models.seg_heads.panoptic_fpn_head import PanopticFPNHead

# Losses that are sums over rows, divided by a number of the batch.
SPLIT_LOSSES = (
    BalancedL1Loss,
    BoundedIoULoss,
    CIoULoss,
    CrossEntropyLoss,
    DIoULoss,
    DiceLoss,
    DistributionFocalLoss,
    FocalLoss,
    GHMC,
    GHMR,
    GIoULoss,
    IoULoss,
    L1Loss,
    MSELoss,
    QualityFocalLoss,
    SmoothL1Loss,
    VarifocalLoss,
)

# How the rows of a loss stand.
IMAGES = 'images'  # image by image, equally many of each; in one call or in several, such as one for each level
POINTS = 'points'  # all levels in one call: level by level, and in each of them image by image
LAYERS = 'layers'  # as IMAGES, but each call is a loss of its own
EACH = 'each'  # the head gives a list of losses, one an image
ROIS = 'rois'  # those of the RoIs
MASKS = 'masks'  # those of the RoIs of a mask branch, which are the positives
POSITIVES = 'positives'  # those of the positive RoIs

Specs = tuple[tuple[str, str | None, str], ...]  # name in the dict of losses, attribute of the loss or None, rows


def _specs(rows: str, *attributes: str) -> Specs:
    return tuple((name, name, rows) for name in attributes)


# Class that a head's ``loss`` comes from -> its losses. A loss without a module is told by the head itself.
LOSSES_OF_DENSE_HEADS: dict[type, Specs] = {
    AnchorHead: _specs(IMAGES, 'loss_cls', 'loss_bbox'),
    RPNHead: (('loss_rpn_cls', 'loss_cls', IMAGES), ('loss_rpn_bbox', 'loss_bbox', IMAGES)),
    PISARetinaHead: (*_specs(IMAGES, 'loss_cls', 'loss_bbox'), ('loss_carl', None, IMAGES)),
    ATSSHead: _specs(IMAGES, 'loss_cls', 'loss_bbox', 'loss_centerness'),
    GFLHead: _specs(IMAGES, 'loss_cls', 'loss_bbox', 'loss_dfl'),
    FCOSHead: _specs(POINTS, 'loss_cls', 'loss_bbox', 'loss_centerness'),
    FoveaHead: _specs(POINTS, 'loss_cls', 'loss_bbox'),
    FSAFHead: (('loss_cls', None, IMAGES), ('loss_bbox', None, IMAGES)),
    FreeAnchorRetinaHead: (('positive_bag_loss', None, IMAGES), ('negative_bag_loss', None, IMAGES)),
    GuidedAnchorHead: _specs(IMAGES, 'loss_cls', 'loss_bbox', 'loss_shape', 'loss_loc'),
    GARPNHead: (
        ('loss_rpn_cls', 'loss_cls', IMAGES),
        ('loss_rpn_bbox', 'loss_bbox', IMAGES),
        ('loss_anchor_shape', 'loss_shape', IMAGES),
        ('loss_anchor_loc', 'loss_loc', IMAGES),
    ),
    StageCascadeRPNHead: (('loss_rpn_cls', 'loss_cls', IMAGES), ('loss_rpn_reg', 'loss_bbox', IMAGES)),
    SABLRetinaHead: _specs(IMAGES, 'loss_cls', 'loss_bbox_cls', 'loss_bbox_reg'),
    SSDHead: _specs(EACH, 'loss_cls', 'loss_bbox'),
    PISASSDHead: (*_specs(EACH, 'loss_cls', 'loss_bbox'), ('loss_carl', None, IMAGES)),
    DETRHead: _specs(LAYERS, 'loss_cls', 'loss_bbox', 'loss_iou'),
    DeformableDETRHead: _specs(LAYERS, 'loss_cls', 'loss_bbox', 'loss_iou'),
}
LOSSES_OF_BOX_HEADS: dict[type, Specs] = {
    BBoxHead: (('loss_cls', 'loss_cls', ROIS), ('loss_bbox', 'loss_bbox', POSITIVES)),
    DIIHead: (('loss_cls', 'loss_cls', ROIS), *_specs(POSITIVES, 'loss_bbox', 'loss_iou')),
    SABLHead: _specs(ROIS, 'loss_cls', 'loss_bbox_cls', 'loss_bbox_reg'),
}
LOSSES_OF_OTHER_HEADS: dict[type, Specs] = {
    FCNMaskHead: _specs(MASKS, 'loss_mask'),
    DynamicMaskHead: _specs(MASKS, 'loss_mask'),
    MaskPointHead: _specs(MASKS, 'loss_point'),
    MaskIoUHead: (('loss_mask_iou', 'loss_iou', MASKS),),
    GridHead: _specs(ROIS, 'loss_grid'),
    FCNKeypointHead: _specs(ROIS, 'loss_keypoint'),
    FusedSemanticHead: (('loss_semantic_seg', 'criterion', IMAGES),),
    GlobalContextHead: (('loss_glbctx', None, IMAGES),),
    BaseSemanticHead: _specs(IMAGES, 'loss_seg'),
    PanopticFPNHead: _specs(IMAGES, 'loss_seg'),
}
# Slots of a model whose heads these may be: a class in another slot names its losses in another way.
SLOTS = (
    (('rpn_head', 'bbox_head', 'stages'), LOSSES_OF_DENSE_HEADS),
    (('bbox_head',), LOSSES_OF_BOX_HEADS),
    (
        ('mask_head', 'point_head', 'mask_iou_head', 'grid_head', 'keypoint_head', 'semantic_head', 'glbctx_head'),
        LOSSES_OF_OTHER_HEADS,
    ),
)


class LossPart(NamedTuple):
    """A loss of a head, and which rows its elements are."""

    name: str  # in the dict of losses: 's0.loss_cls'
    head: nn.Module
    loss: nn.Module | None  # None: the head tells it
    rows: str  # how they stand, see above
    plain_name: str  # as the head tells it

    @property
    def counts(self) -> bool:
        """Whether the targets of this loss are counted."""
        return self.loss is not None and self.name.endswith('cls') and not self.name.endswith('bbox_cls')

    @property
    def split(self) -> bool:
        """Whether its elements are those of single rows."""
        return why_not_split(self.loss) is None

    @property
    def prefix(self) -> str:
        """Of the counts in the log: 's0.', 'rpn_'."""
        return self.name.replace('loss_', '')[: -len('cls')]


def why_not_split(loss: nn.Module | None) -> str | None:
    """Why the loss of a batch is not the sum of its images' parts; None: it is."""
    if loss is None or isinstance(loss, SPLIT_LOSSES):
        return None
    if isinstance(loss, SmoothedLoss):
        by_batch = "SmoothedLoss weighs the batch and not its rows; weighting='sample' does"
        return by_batch if loss.weighting == 'batch' else None
    return f'{type(loss).__name__} is not known to be a sum over rows'


def find_parts(model: nn.Module) -> list[LossPart]:
    """The losses of a model whose heads are known; among them may be some that do not fall into images."""
    parts = []
    for path, module in model.named_modules():
        for name, attribute, rows in _specs_of(path, module):
            loss = getattr(module, attribute, None) if attribute else None
            if loss is not None or attribute is None:
                parts.append(LossPart(_stage_prefix(model, path) + name, module, loss, rows, name))
        if isinstance(module, PISARoIHead):
            parts.append(LossPart('loss_carl', module.bbox_head, None, ROIS, 'loss_carl'))
    return parts


def positives_not_told(model: nn.Module, parts: Sequence[LossPart]) -> dict[str, str]:
    """Losses of masks whose rows are positives that no known box head counts -> why they are not divided."""
    if any(part.counts and part.rows == ROIS for part in parts):
        return {}
    if not getattr(getattr(model, 'roi_head', None), 'share_roi_extractor', False):
        return {}
    why = 'its box head does not tell which RoIs are positives'
    return {part.name: why for part in parts if part.rows == MASKS}


def unknown_heads(model: nn.Module) -> list[str]:
    """Classes of heads in the slots of a model whose losses nobody here knows."""
    slots = {slot for names, _ in SLOTS for slot in names}
    known = {id(part.head) for part in find_parts(model)}
    found = (
        type(module).__name__
        for path, module in model.named_modules()
        if _slot(path) in slots
        and callable(getattr(module, 'loss', None))
        and not any(id(inner) in known for inner in module.modules())  # itself, or the stages that it holds
    )
    return list(dict.fromkeys(found))


def _specs_of(path: str, module: nn.Module) -> Iterator[tuple[str, str | None, str]]:
    if definer(module, 'loss') is None:
        return
    loss = vars(definer(module, 'loss'))['loss']  # a class may take over the method of another one
    for slots, table in SLOTS:
        for owner, specs in table.items() if _slot(path) in slots else ():
            if vars(owner)['loss'] is loss:
                yield from specs


def _slot(path: str) -> str:
    """The attribute that holds a module or the list that it is in."""
    *_, owner, last = ['', *path.split('.')]
    return owner if last.isdigit() else last


def _stage_prefix(model: nn.Module, path: str) -> str:
    last = path.rpartition('.')[2]
    if not last.isdigit():
        return ''
    return f'stage{last}_' if isinstance(getattr(model, 'roi_head', None), SparseRoIHead) else f's{last}.'


def definer(module: nn.Module, method: str) -> type | None:
    """The class that a module's method comes from, mixins that only hand on what they get left aside."""
    owners = (cls for cls in type(module).__mro__ if method in vars(cls) and issubclass(cls, nn.Module))
    return next(owners, None)
