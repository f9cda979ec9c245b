"""One small made image, that passes through a model before data are read."""

import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdet.core.mask.structures import BitmapMasks
from mmdet.utils.configs.kinds import LIBRARIES

SEMANTIC_STRIDE = 8  # px; of the semantic maps that HTC is given
MOST_ROIS = 8  # that a head is trained on, and finds
FEWER = ('nms_pre', 'max_per_img')  # settings of `test_cfg` that are limited to that
# kinds of errors that the config of a model can cause
KINDS = (
    *(AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError, ZeroDivisionError),
)
# what is said of an image that lacks something, of devices, and of numbers of weights that nobody has trained
ABOUT_IMAGE = re.compile(
    r'made image|img_metas have|\bgt_\w+|Collect\b|\bcpu\b|\bcuda\b|\bdevice\b|not implemented|memory|'
    r'max_size|infeasible|numeric|\bnan\b|\binf\b|singular',
    re.IGNORECASE,
)


def limit_samples(module: nn.Module) -> None:
    """Let a head have ``MOST_ROIS`` RoIs: their number has no part in what fits, and most in the time.

    Args:
        module: of a copy of the model.
    """
    samplers = getattr(module, 'bbox_sampler', None) or []
    for sampler in samplers if isinstance(samplers, list) else [samplers]:
        if isinstance(getattr(sampler, 'num', None), int):
            sampler.num = min(sampler.num, MOST_ROIS)
    limits: Any = getattr(module, 'test_cfg', None)
    for key in FEWER if isinstance(limits, dict) else ():
        if isinstance(limits.get(key), int) and limits[key] > MOST_ROIS:
            limits[key] = MOST_ROIS


def is_of_config(error: Exception, model: nn.Module) -> bool:
    """Whether an error that the made image has met would be met by any image.

    Modules of the user's own may need more than the image has, and some operators a device that the trial has not.
    """
    if not isinstance(error, KINDS) or isinstance(error, torch.cuda.OutOfMemoryError | NotImplementedError):
        return False
    own = all(type(module).__module__.partition('.')[0] in LIBRARIES for module in model.modules())
    return own and not ABOUT_IMAGE.search(str(error))


def prepare_training(model: nn.Module) -> None:
    """Training mode, but for batch norm: a map of one cell has no variance."""
    model.train()
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def detect_on(model: Any, batch: Mapping[str, Any], side: int) -> None:
    """Detect on the made image, as an evaluation does; nothing where the model has another interface."""
    simple_test = getattr(model, 'simple_test', None)
    if simple_test is None:
        return
    meta = dict(batch['img_metas'][0], border=np.array([0, side, 0, side]))
    more = dict(proposals=batch['proposals']) if 'proposals' in batch else {}
    model.eval()
    simple_test(batch['img'], [meta], rescale=True, **more)


def made_batch(model: nn.Module, cfg: Mapping[str, Any], side: int) -> dict[str, Any]:
    """One image with one object, as :meth:`forward_train` takes it.

    Args:
        model: says on which device, and whether it takes proposals, keypoints, ....
        cfg: of the model.
        side: of the image, px.
    """
    parameter = next(model.parameters(), torch.zeros(1))
    place: dict[str, Any] = dict(device=parameter.device, dtype=torch.float32)
    channels = (cfg.get('backbone') or {}).get('in_channels', 3)
    channels = channels if isinstance(channels, int) else 3
    box = [side / 4, side / 4, side * 3 / 4, side * 3 / 4]
    mask = np.zeros((1, side, side), np.uint8)
    mask[:, side // 4 : side * 3 // 4, side // 4 : side * 3 // 4] = 1
    shape = (side, side, channels)
    meta = dict(
        **dict.fromkeys(('filename', 'ori_filename'), 'made image'),
        **dict.fromkeys(('ori_shape', 'img_shape', 'pad_shape'), shape),
        **dict(scale_factor=np.ones(4, np.float32), flip=False, flip_direction=None, batch_input_shape=shape[:2]),
    )
    batch = dict(
        img_metas=[meta],
        gt_bboxes=[torch.tensor([box], **place)],
        gt_labels=[torch.zeros(1, dtype=torch.long, device=parameter.device)],
    )
    batch['img'] = torch.rand((1, channels, side, side), **place)
    roi_head = getattr(model, 'roi_head', None)
    forward_train: Any = model.forward_train
    taken = inspect.signature(forward_train).parameters
    if getattr(model, 'with_mask', False) or needs(taken, 'gt_masks'):
        batch['gt_masks'] = [BitmapMasks(mask, side, side)]
    if getattr(roi_head, 'with_semantic', False) or 'gt_semantic_seg' in taken:
        cells = side // SEMANTIC_STRIDE if getattr(roi_head, 'with_semantic', False) else side
        batch['gt_semantic_seg'] = torch.zeros((1, 1, cells, cells), dtype=torch.long, device=parameter.device)
    points = getattr(getattr(roi_head, 'keypoint_head', None), 'num_keypoints', None)
    if points is not None:
        batch['gt_keypoints'] = [torch.tensor([[[side / 2, side / 2, 2]] * points], **place)]
    if roi_head is not None and 'rpn_head' not in cfg:
        batch['proposals'] = [torch.tensor([box], **place)]
    return batch


def needs(parameters: Mapping[str, inspect.Parameter], name: str) -> bool:
    """Whether a function has that parameter, without a default."""
    return name in parameters and parameters[name].default is inspect.Parameter.empty
