"""What ``mmcv.ops`` shows where mmcv was not compiled: the operators of mmdet, under mmcv's names and signatures.

``import mmdet`` makes ``mmcv.ops`` and its modules findable (:mod:`mmdet._optional_import`), so that ``from mmcv.ops
import RoIAlign, nms`` works in users' code. A compiled mmcv answers itself.
"""

import ast
import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import mmcv
import torch
from mmcv.cnn.bricks.wrappers import Conv2d, ConvTranspose2d, Linear, MaxPool2d
from torch import Tensor

from mmdet import ops
from mmdet._environment import INSTALL_MMCV_FULL
from mmdet.ops import polygon, rotated, rotated_features
from mmdet.ops.masked_conv import masked_conv2d as masked_conv2d_of_mmdet
from mmdet.ops.multi_scale_deform_attn import multi_scale_deformable_attn
from mmdet.ops.point_sample import point_sample, rel_roi_point_to_rel_img_point

PACKAGE = 'mmcv.ops'


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    deform_groups: int = 1,
    bias: bool = False,
    im2col_step: int = 32,
) -> Tensor:
    """:func:`mmdet.ops.deform_conv2d` with the arguments of mmcv: ``im2col_step`` changes nothing.

    Raises:
        ValueError: ``bias`` is not False.
    """
    if bias:
        raise ValueError('deform_conv2d: only bias=False is supported, as in mmcv')
    return ops.deform_conv2d(input, offset, weight, stride, padding, dilation, groups, deform_groups)


def masked_conv2d(
    features: Tensor,
    mask: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    padding: int | tuple[int, int] = 0,
    stride: int | tuple[int, int] = 1,
) -> Tensor:
    """:func:`mmdet.ops.masked_conv2d` with the arguments of mmcv, where the padding comes before the stride."""
    return masked_conv2d_of_mmdet(features, mask, weight, bias, stride, padding)


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, mode: str = 'iou', aligned: bool = False, offset: int = 0
) -> Tensor:
    """IoU, or with ``'iof'`` intersection over the first area, of xyxy boxes (m, 4) and (n, 4).

    Args:
        bboxes1, bboxes2: (m, 4) and (n, 4), or empty.
        mode: ``'iou'`` or ``'iof'``.
        aligned: row by row.
        offset: 0 or 1, what is added to widths and heights.

    Returns:
        (m, n), or (m,) if aligned.

    Raises:
        ValueError: unknown mode.
    """
    if mode not in ('iou', 'iof'):
        raise ValueError(f"bbox_overlaps: mode must be 'iou' or 'iof', got {mode!r}")
    first, second = bboxes1.reshape(-1, 4), bboxes2.reshape(-1, 4)
    size_wh = [boxes[:, 2:] - boxes[:, :2] + offset for boxes in (first, second)]
    area, other_area = (size.prod(1) for size in size_wh)
    if not aligned:
        first, area = first[:, None], area[:, None]
    common = torch.minimum(first[..., 2:], second[:, 2:]) - torch.maximum(first[..., :2], second[:, :2]) + offset
    common = common.clamp(min=0).prod(-1)
    return common / (area if mode == 'iof' else area + other_area - common)


def multi_scale_deformable_attn_pytorch(
    value: Tensor, value_spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """:func:`mmdet.ops.multi_scale_deformable_attn`, the shapes being an (L, 2) tensor."""
    shapes_hw = torch.as_tensor(value_spatial_shapes).tolist()
    return multi_scale_deformable_attn(value, shapes_hw, sampling_locations, attention_weights)


class MultiScaleDeformableAttnFunction:
    """What users' code calls ``apply`` of; autograd works without a class for it."""

    @staticmethod
    def apply(
        value: Tensor,
        value_spatial_shapes: Tensor,
        value_level_start_index: Tensor,
        sampling_locations: Tensor,
        attention_weights: Tensor,
        im2col_step: int = 64,
    ) -> Tensor:
        """As :func:`multi_scale_deformable_attn_pytorch`; start indices and step follow from the shapes."""
        return multi_scale_deformable_attn_pytorch(value, value_spatial_shapes, sampling_locations, attention_weights)


def get_compiler_version() -> str:
    """The compiler of torch, whose kernels these operators are; ``'n/a'`` where torch does not say."""
    found = re.search(r'(GCC|clang|MSVC) ([\d.]+)', torch.__config__.show())
    return found.group() if found else 'n/a'


def get_compiling_cuda_version() -> str:
    """The CUDA that torch was compiled with, or ``'not available'``."""
    return torch.version.cuda or 'not available'


# module of mmcv.ops -> the names that it shows
MODULES: dict[str, dict[str, Any]] = {
    'active_rotated_filter': {'active_rotated_filter': rotated_features.active_rotated_filter},
    'bbox': {'bbox_overlaps': bbox_overlaps},
    'box_iou_rotated': {'box_iou_rotated': rotated.box_iou_rotated},
    'carafe': {
        'CARAFE': ops.CARAFE,
        'CARAFENaive': ops.CARAFE,
        'CARAFEPack': ops.CARAFEPack,
        'carafe': ops.carafe,
        'carafe_naive': ops.carafe,
    },
    'chamfer_distance': {'chamfer_distance': rotated_features.chamfer_distance},
    'convex_iou': {'convex_giou': polygon.convex_giou, 'convex_iou': polygon.convex_iou},
    'corner_pool': {'CornerPool': ops.CornerPool},
    'deform_conv': {
        'DeformConv2d': ops.DeformConv2d,
        'DeformConv2dPack': ops.DeformConv2dPack,
        'deform_conv2d': deform_conv2d,
    },
    'deform_roi_pool': {
        'DeformRoIPool': ops.DeformRoIPool,
        'DeformRoIPoolPack': ops.DeformRoIPoolPack,
        'ModulatedDeformRoIPoolPack': ops.ModulatedDeformRoIPoolPack,
        'deform_roi_pool': ops.deform_roi_pool,
    },
    'deprecated_wrappers': {
        'Conv2d_deprecated': Conv2d,
        'ConvTranspose2d_deprecated': ConvTranspose2d,
        'Linear_deprecated': Linear,
        'MaxPool2d_deprecated': MaxPool2d,
    },
    'diff_iou_rotated': {'diff_iou_rotated_2d': rotated.diff_iou_rotated_2d},
    'focal_loss': {
        'SigmoidFocalLoss': ops.SigmoidFocalLoss,
        'SoftmaxFocalLoss': ops.SoftmaxFocalLoss,
        'sigmoid_focal_loss': ops.sigmoid_focal_loss,
        'softmax_focal_loss': ops.softmax_focal_loss,
    },
    'info': {
        'get_compiler_version': get_compiler_version,
        'get_compiling_cuda_version': get_compiling_cuda_version,
    },
    'masked_conv': {'MaskedConv2d': ops.MaskedConv2d, 'masked_conv2d': masked_conv2d},
    'merge_cells': {
        'BaseMergeCell': ops.BaseMergeCell,
        'ConcatCell': ops.ConcatCell,
        'GlobalPoolingCell': ops.GlobalPoolingCell,
        'SumCell': ops.SumCell,
    },
    'min_area_polygons': {'min_area_polygons': polygon.min_area_polygons},
    'modulated_deform_conv': {
        'ModulatedDeformConv2d': ops.ModulatedDeformConv2d,
        'ModulatedDeformConv2dPack': ops.ModulatedDeformConv2dPack,
        'modulated_deform_conv2d': ops.modulated_deform_conv2d,
    },
    'multi_scale_deform_attn': {
        'MultiScaleDeformableAttention': ops.MultiScaleDeformableAttention,
        'MultiScaleDeformableAttnFunction': MultiScaleDeformableAttnFunction,
        'multi_scale_deformable_attn_pytorch': multi_scale_deformable_attn_pytorch,
    },
    'nms': {
        'batched_nms': ops.batched_nms,
        'nms': ops.nms,
        'nms_match': ops.nms_match,
        'nms_rotated': ops.nms_rotated,
        'soft_nms': ops.soft_nms,
    },
    'point_sample': {
        'SimpleRoIAlign': ops.SimpleRoIAlign,
        'point_sample': point_sample,
        'rel_roi_point_to_rel_img_point': rel_roi_point_to_rel_img_point,
    },
    'points_in_polygons': {'points_in_polygons': polygon.points_in_polygons},
    'roi_align': {'RoIAlign': ops.RoIAlign, 'roi_align': ops.roi_align},
    'roi_align_rotated': {
        'RoIAlignRotated': ops.RoIAlignRotated,
        'roi_align_rotated': rotated_features.roi_align_rotated,
    },
    'roi_pool': {'RoIPool': ops.RoIPool, 'roi_pool': ops.roi_pool},
    'rotated_feature_align': {'rotated_feature_align': rotated_features.rotated_feature_align},
    'saconv': {'SAConv2d': ops.SAConv2d},
    'sync_bn': {'SyncBatchNorm': ops.MMSyncBN},
}
WRAPPERS = {'Conv2d': Conv2d, 'ConvTranspose2d': ConvTranspose2d, 'Linear': Linear, 'MaxPool2d': MaxPool2d}


def fill(module: ModuleType) -> None:
    """Put the operators into a new module called ``mmcv.ops`` or ``mmcv.ops.NAME``.

    Raises:
        ModuleNotFoundError: mmdet has nothing of a module of that name.
    """
    part = module.__name__.removeprefix(PACKAGE).removeprefix('.')
    if part and part not in MODULES:
        raise ModuleNotFoundError(_missing(module.__name__), name=module.__name__)
    shown = dict(MODULES[part] if part else WRAPPERS)
    if not part:
        for name, names in MODULES.items():
            # first of all: an import of a module would put it in the place of the operator of the same name
            importlib.import_module(f'{PACKAGE}.{name}')
            shown |= names
    in_mmcv = _names_of_mmcv(part)

    def refuse(name: str) -> Any:
        if name in in_mmcv:
            raise ImportError(_missing(f'{module.__name__}.{name}'), name=module.__name__)
        raise AttributeError(f'module {module.__name__!r}, which mmdet provides, has no attribute {name!r}')

    vars(module).update(shown, __doc__=__doc__, __all__=sorted(shown), __getattr__=refuse)


def _missing(name: str) -> str:
    return (
        f'{name} needs mmcv-full, the compiled mmcv: it is not installed, and mmdet has no such operator. To compile '
        f'it, {INSTALL_MMCV_FULL}'
    )


def _names_of_mmcv(part: str) -> set[str]:
    """Names that a module of the real ``mmcv.ops`` defines or imports, read from its source."""
    source = Path(mmcv.__file__).parent / 'ops' / f'{part or "__init__"}.py'
    names = set()
    for node in ast.parse(source.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names
