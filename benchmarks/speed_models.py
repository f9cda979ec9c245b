"""Models, batches and steps that `speed.py` times: this package's and torchvision's of the same architecture."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mmdet.core.mask.structures import BitmapMasks
from mmdet.models import build_detector

import numpy as np
import torch
from mmcv import Config
from mmcv.cnn import bias_init_with_prob
from torch import nn
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
MODELS = {name: CONFIGS / name / f'{name}_r50_fpn_1x_coco.py' for name in ('faster_rcnn', 'mask_rcnn', 'retinanet')}
MODELS['yolox'] = CONFIGS / 'yolox/yolox_s_8x8_300e_coco.py'
WITHOUT_LIKE = ('yolox',)  # models that torchvision has no like of


class Case(NamedTuple):
    """What is timed."""

    model: str
    size: tuple[int, int]  # h, w, multiples of 32
    batch: int = 2
    dtype: str = 'fp32'
    boxes: int = 10
    classes: int = 80
    proposals: int = 1000

    @property
    def name(self) -> str:
        extra = [f'{key} {getattr(self, key)}' for key in ('boxes', 'classes', 'proposals')]
        return f'{self.model} {self.size[0]}x{self.size[1]} b{self.batch} {self.dtype} ({", ".join(extra)})'


class Batch(NamedTuple):
    images: torch.Tensor  # (N, 3, H, W)
    gt_bboxes: list[torch.Tensor]  # N times (n, 4) xyxy px
    gt_labels: list[torch.Tensor]


class Side(NamedTuple):
    """One implementation: calls that train on a batch and that detect in it, and the model that they use."""

    train: Callable[[Batch], None]
    infer: Callable[[Batch], None]
    model: nn.Module


def made_batch(case: Case, device: str) -> Batch:
    """Images of noise with boxes of a tenth to four tenths of their sides."""
    generator = torch.Generator().manual_seed(0)
    size = torch.tensor(case.size[::-1])
    corners = torch.rand(case.batch, case.boxes, 2, generator=generator) * size * 0.6
    sides = (0.1 + 0.3 * torch.rand(case.batch, case.boxes, 2, generator=generator)) * size
    labels = torch.randint(0, case.classes, (case.batch, case.boxes), generator=generator).to(device)
    images = torch.randn(case.batch, 3, *case.size, generator=generator).to(device)
    return Batch(images, list(torch.cat([corners, corners + sides], -1).to(device)), list(labels))


def boxes_of_all_sizes(case: Case, device: str) -> list[torch.Tensor]:
    """N times (n, 4) boxes anywhere, their sides from 8 to 400 px, each octave as likely as the next."""
    generator = torch.Generator().manual_seed(0)
    size = torch.tensor(case.size[::-1])
    sides = 8 * 50 ** torch.rand(case.batch, case.boxes, 2, generator=generator)
    centres = torch.rand(case.batch, case.boxes, 2, generator=generator) * size
    corners = [(centres - sides / 2).clamp(min=0), (centres + sides / 2).minimum(size)]
    return list(torch.cat(corners, -1).to(device))


def stepper(model: nn.Module, losses: Callable, detect: Callable, case: Case, device: str) -> Side:
    """Steps of a model from the sum of its losses and from its detections."""
    kind = torch.device(device).type
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-4, momentum=0.9)

    def autocast() -> torch.autocast:
        return torch.autocast(kind, torch.bfloat16, enabled=case.dtype == 'bf16')

    def train(batch: Batch) -> None:
        model.train()
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            loss = losses(batch)
        loss.backward()
        optimizer.step()

    @torch.no_grad()
    def infer(batch: Batch) -> None:
        model.eval()
        with autocast():
            detect(batch)

    return Side(train, infer, model)


def with_default_values(model: nn.Module) -> nn.Module:
    """Set the weights of all layers to torch's default values.

    Under frozen batch norms the initial values of some layers make features so large that many proposals fall together;
    the sides would then have different numbers of RoIs to look at.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.reset_parameters()
    return model


def own_side(case: Case, device: str, options: dict | None = None) -> Side:
    """This package's model; ``options`` are further keys of its config, such as ``channels_last``."""
    cfg = Config.fromfile(MODELS[case.model]).model
    cfg.backbone.init_cfg = None
    for head in (cfg.roi_head.bbox_head, cfg.roi_head.get('mask_head')) if 'roi_head' in cfg else (cfg.bbox_head,):
        if head is not None:
            head.num_classes = case.classes
    if 'roi_head' in cfg:
        cfg.train_cfg.rpn_proposal.max_per_img = cfg.test_cfg.rpn.max_per_img = case.proposals
    if case.model == 'yolox':
        cfg.update(input_size=case.size, random_size_interval=10**9)  # every step of the same size
    cfg.update(options or {})
    model = with_default_values(build_detector(cfg))
    if case.model == 'yolox':
        # with torch's values every cell would be a detection, and the suppression of thousands take a tenth of the time
        for layer in (*model.bbox_head.multi_level_conv_cls, *model.bbox_head.multi_level_conv_obj):
            nn.init.constant_(layer.bias, bias_init_with_prob(0.01))
    model.to(device)

    def metas(images: torch.Tensor) -> list[dict]:
        shape = (*images.shape[-2:], 3)
        one = dict(img_shape=shape, pad_shape=shape, ori_shape=shape, scale_factor=np.ones(4, np.float32), flip=False)
        return [dict(one, filename='made', batch_input_shape=shape[:2]) for _ in images]

    def losses(batch: Batch) -> torch.Tensor:
        data = dict(img=batch.images, img_metas=metas(batch.images), **batch._asdict())
        data.pop('images')
        if case.model == 'mask_rcnn':
            whole = np.ones((case.boxes, *case.size), np.uint8)
            data['gt_masks'] = [BitmapMasks(whole, *case.size) for _ in batch.gt_bboxes]
        return model.train_step(data, None)['loss']

    def detect(batch: Batch) -> list:
        return model(img=[batch.images], img_metas=[metas(batch.images)], return_loss=False, rescale=True)

    return stepper(model, losses, detect, case, device)


def torchvision_side(case: Case, device: str) -> Side:
    """torchvision's model with frozen batch norms, two frozen stages and the proposal counts of the config."""
    extra = dict(num_classes=case.classes + 1, min_size=min(case.size), max_size=max(case.size))
    backbone = resnet_fpn_backbone(
        backbone_name='resnet50', weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3
    )
    counts = dict(
        rpn_pre_nms_top_n_train=2000,
        rpn_post_nms_top_n_train=case.proposals,
        rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_test=case.proposals,
    )
    if case.model == 'faster_rcnn':
        model = detection.FasterRCNN(backbone, **extra, **counts)
    elif case.model == 'mask_rcnn':
        model = detection.MaskRCNN(backbone, **extra, **counts)
    else:
        model = detection.retinanet_resnet50_fpn(
            weights=None, weights_backbone=None, trainable_backbone_layers=5, **(extra | dict(num_classes=case.classes))
        )
        freeze = ('backbone.body.conv1', 'backbone.body.layer1', 'backbone.body.bn1')
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not name.startswith(freeze) and '.bn' not in name)
    with_default_values(model).to(device)

    def losses(batch: Batch) -> torch.Tensor:
        shift = int(case.model != 'retinanet')  # its two-stage models count the background as class 0
        targets = [dict(boxes=b, labels=k + shift) for b, k in zip(batch.gt_bboxes, batch.gt_labels)]
        if case.model == 'mask_rcnn':
            whole = torch.ones(case.boxes, *case.size, dtype=torch.uint8, device=batch.images.device)
            targets = [dict(target, masks=whole) for target in targets]
        return sum(model(list(batch.images), targets).values())

    return stepper(model, losses, lambda batch: model(list(batch.images)), case, device)
