"""A detector as a module of tensors: images and their sizes in, boxes, labels, masks and keypoints out."""

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.apis.export.operators import IN_GRAPH
from mmdet.apis.export.plain_layers import use_plain_layers
from mmdet.models.utils.export import refuse_export, without_suppression
from mmdet.utils.errors import ReportedError
from mmdet.utils.running.replaceable import replaced

# what a test calls; who has one of its own must also have an ``onnx_export`` of its own
TESTS = ('simple_test', 'simple_test_bboxes', 'simple_test_mask', '_simple_test_branches')
# what has no form in a graph: layers by their names, and why
NO_GRAPH = {
    'CornerPool': 'corner pooling has no operator in ONNX',
    'MaskedConv2d': 'the masked convolution has no operator in ONNX',
    'DeformRoIPool': 'deformable RoI pooling has no operator in ONNX',
    'DeformRoIPoolPack': 'deformable RoI pooling has no operator in ONNX',
    'ModulatedDeformRoIPoolPack': 'deformable RoI pooling has no operator in ONNX',
}


class ExportError(ReportedError, ValueError):
    """A detector, or a part of it, cannot be exported."""


class DetectorGraph(nn.Module):
    """The detector, its results as tensors; made for being traced, and it can be called as well.

    Args:
        detector: the detector; a copy is used.
        raw: leave out the last suppression: the best candidates come out.
        with_sizes: what is traced also takes the sizes of the images without their padding.

    Attributes:
        names: of what ``forward`` gives: ``dets``, ``labels``, then perhaps ``masks`` and ``keypoints``.
        sides: axes of the images that may have any length, and what they are called.

    Raises:
        ExportError: a part of the detector has no form in a graph; it is named.
    """

    sides = {2: 'height', 3: 'width'}

    def __init__(self, detector: nn.Module, raw: bool = False, with_sizes: bool = True) -> None:
        super().__init__()
        check_exportable(detector, raw)
        self.detector = copy.deepcopy(detector).eval().requires_grad_(False)
        use_plain_layers(self.detector)
        if raw:
            leave_out_suppression(self.detector)
        roi_head = getattr(detector, 'roi_head', None)
        keypoints = getattr(roi_head, 'with_keypoint', False)
        self.names = ('dets', 'labels', *(['masks'] * _has_masks(detector)), *(['keypoints'] * keypoints))
        self.with_sizes = with_sizes

    def example(self, batch_size: int, size: tuple[int, int], device: torch.device) -> dict[str, Tensor]:
        """Images of zeros and their sizes, arguments of ``forward`` by name; the images first."""
        images = dict(input=torch.zeros(batch_size, 3, *size, device=device))
        return {**images, 'sizes': torch.tensor([size] * batch_size, device=device)} if self.with_sizes else images

    def forward(self, input: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
        """Results of a batch.

        Args:
            input: (N, 3, H, W), normalised, padded to the right and below.
            sizes: (N, 2) int64, height and width of each image without its padding; None: nothing is padded.

        Returns:
            ``dets`` (N, k, 5) x1, y1, x2, y2 px of the input and score; ``labels`` (N, k), -1 in rows that fill up;
            ``masks`` (N, k, h, w) in [0, 1] of the boxes, or bool of the input; ``keypoints`` (N, k, K, h, w) logits
            of heat maps of the boxes.
        """
        with replaced(IN_GRAPH), torch.no_grad():
            detector: Any = self.detector
            return tuple(detector.onnx_export(input, image_metas(input, sizes)))


class Shape(tuple[Any, ...]):
    """A shape whose numbers may be variables of a graph; a copy of a variable is that variable."""

    def __deepcopy__(self, memo: dict[int, Any]) -> 'Shape':
        return self


def image_metas(input: Tensor, sizes: Tensor | None) -> list[dict[str, Any]]:
    """Meta information of the images of a batch; heights and widths are variables where they are traced."""
    height, width = input.shape[-2:]
    metas = []
    for i in range(input.shape[0]):
        size = (height, width) if sizes is None else (sizes[i, 0].item(), sizes[i, 1].item())
        for side, most in zip(size, (height, width)):
            torch._check(side > 0)
            torch._check(side <= most)
        shape, padded = Shape((*size, 3)), Shape((height, width, 3))
        metas.append(
            dict(
                img_shape=shape,
                ori_shape=shape,
                pad_shape=padded,
                batch_input_shape=Shape((height, width)),
                scale_factor=(1.0, 1.0, 1.0, 1.0),
                flip=False,
                flip_direction=None,
            )
        )
    return metas


def check_exportable(detector: nn.Module, raw: bool = False) -> None:
    """Refuse, before anything is traced, what has no form in a graph.

    Raises:
        ExportError: names the part.
    """
    if getattr(detector, 'roi_head', None) is not None and getattr(detector, 'rpn_head', None) is None:
        raise ExportError(f'{type(detector).__name__} cannot be exported: it takes the proposals of another detector')
    for part in (detector, getattr(detector, 'roi_head', None)):
        if part is not None:
            _check_methods(part)
    for name, layer in detector.named_modules():
        if type(layer).__name__ in NO_GRAPH:
            raise ExportError(f'{type(detector).__name__}: {name}: {NO_GRAPH[type(layer).__name__]}')
    for path, settings in _suppressions(getattr(detector, 'test_cfg', None) or {}):
        if settings.get('type', 'nms') != 'nms' and not (raw and not path.startswith('rpn')):
            raise ExportError(
                f'test_cfg.{path}: suppression of the type {settings["type"]!r} has no operator in ONNX; accepted: '
                "'nms', or raw=True (--raw), which leaves it to the caller"
            )


def _check_methods(part: nn.Module) -> None:
    kind: Any = type(part)
    export = _owner(kind, 'onnx_export')
    if export is None or kind.onnx_export is refuse_export:
        raise ExportError(f'{kind.__name__} cannot be exported: it has no onnx_export')
    for name in TESTS:
        test = _owner(kind, name)
        if test is not None and test is not export and issubclass(test, export):
            raise ExportError(
                f'{kind.__name__} cannot be exported: {test.__name__} has a {name} of its own, but no onnx_export'
            )


def _owner(kind: type, name: str) -> type | None:
    """The class that a method comes from."""
    return next((base for base in inspect.getmro(kind) if name in vars(base)), None)


def _suppressions(settings: Mapping[str, Any], path: str = '') -> list[tuple[str, Mapping[str, Any]]]:
    """Sections ``nms`` of a ``test_cfg``, and where they are."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            here = f'{path}.{key}' if path else key
            found += [(here, value)] if key == 'nms' else _suppressions(value, here)
    return found


def leave_out_suppression(detector: nn.Module) -> None:
    """Change the settings of a detector's test, so that the candidates of the last suppression come out.

    Raises:
        ExportError: it has no suppression that could be left out.
    """
    head: Any = getattr(detector, 'roi_head', None) or getattr(detector, 'bbox_head', None) or detector.rpn_head
    if 'nms' not in (head.test_cfg or {}):
        raise ExportError(f'raw=True: {type(detector).__name__} has no suppression that could be left out')
    head.test_cfg = without_suppression(head.test_cfg)


def _has_masks(detector: nn.Module) -> bool:
    return bool(getattr(detector, 'with_mask', False) or hasattr(detector, 'panoptic_head'))


__all__ = ['DetectorGraph', 'ExportError', 'check_exportable']
