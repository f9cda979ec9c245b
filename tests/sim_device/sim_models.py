"""Small models of the cases, and the batches that they train on."""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filling import fill_module, make_batch, random_boxes
from mmcv import Config, ConfigDict
from mmcv.parallel import DataContainer
from torch import Tensor, nn
from whole_models import deterministic, drop_nothing

from mmdet.core.mask.structures import BitmapMasks
from mmdet.models import BACKBONES, build_detector

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
BOXES = ('gt_bboxes', 'gt_labels')
MASKS = (*BOXES, 'gt_masks')
WIDTHS = {
    'in_channels', 'out_channels', 'feat_channels', 'conv_out_channels', 'embed_dims', 'channels',
    'feedforward_channels', 'fc_out_channels', 'num_channels', 'dynamic_in_channels', 'input_feat_shape',
    'fc_channels', 'dynamic_feat_channels', 'in_channel', 'out_channel', 'hidden_channels', 'proposal_feature_channel',
    'cls_in_channels', 'reg_in_channels', 'cls_out_channels', 'reg_offset_out_channels', 'reg_cls_out_channels',
    'out_conv_channels', 'offset_channels', 'output_channels',
}  # fmt: skip
DEPTHS = {'stacked_convs', 'num_convs'}  # of a head; one convolution is as good as four
CLASSES = {80: 8, 1203: 8}  # fewer than a config has
_built: dict[str, nn.Module] = {}
NARROW = {256: 16, 1024: 32, 2048: 32, 512: 24, 128: 8}
SCORES = [
    [r'(fc_cls|cls_embed|class_embed|cls_logits)\.weight$', 3.0],
    [r'(rpn_cls|retina_cls|conv_cls|_cls)\.weight$', 0.3],
    [r'roi_head.*fc_reg\.weight$', 0.1],
    # boxes around the middle of the image; those turned inside out have no masks to compare
    [r'init_proposal_bboxes\.weight$', dict(abs=True, scale=0.1, offset=0.5)],
]


class Case(NamedTuple):
    """What is trained, on what."""

    config: str | dict  # below configs/, or a whole model
    keys: tuple[str, ...] = BOXES  # of the batch
    model: dict = {}  # noqa: RUF012 - further keys of the model, dots for nested ones
    metas: tuple[dict, dict] = ({}, {})  # of the two images
    size: tuple[int, int] = (96, 128)
    classes: int = 8
    tests: bool = True  # also inference
    wide: bool = False  # all layers as wide as in the config
    stages: int | None = None  # of the RoI head, fewer than in the config
    resnet: bool = False  # with a narrow ResNet-18 instead of four convolutions


@BACKBONES.register_module()
class FourConvs(nn.Module):
    """Maps as those of a ResNet-18 with 8 channels in its stem, from few operators."""

    def __init__(self, out_indices: tuple[int, ...] = (0, 1, 2, 3)) -> None:
        super().__init__()
        self.out_indices = out_indices
        widths = (8, 16, 32, 64)
        self.stages = nn.ModuleList([nn.Conv2d(3, 8, 4, 4), *map(nn.Conv2d, widths, widths[1:], [2] * 3, [2] * 3)])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = []
        for stage in self.stages:
            x = stage(x).relu()
            maps.append(x)
        return tuple(maps[i] for i in self.out_indices)


def few_samples(node: Any) -> Any:
    """Samplers that draw 64, in place."""
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
        few_samples(value)
    if isinstance(node, dict) and node.get('num', 0) == 1000000:
        node['num'] = 64
    return node


def narrowed(node: Any) -> Any:
    """A config with narrow layers and few proposals, in place."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in WIDTHS and type(value) is int and value in NARROW:
                node[key] = NARROW[value]
            elif key in DEPTHS and value > 1:
                node[key] = 1
            elif key == 'num_classes' and value in CLASSES:
                node[key] = CLASSES[value]
            elif key == 'num_proposals':
                node[key] = 16
            elif key == 'num_groups':
                node[key] = 8
            elif key == 'nms_pre':
                node[key] = 100
            elif key == 'max_per_img' and value > 100:
                node[key] = 50
            else:
                narrowed(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            narrowed(value)


def small_model(case: Case) -> ConfigDict:
    """The case's model with four convolutions in the place of its ResNet, and narrow heads."""
    if isinstance(case.config, dict):
        return Config(dict(model=few_samples(copy.deepcopy(case.config | case.model)))).model
    content = Config.fromfile(str(CONFIGS / case.config))._cfg_dict.to_dict()
    cfg = Config(dict(model=few_samples(deterministic(content['model']))))
    cfg.merge_from_dict({f'model.{key}': value for key, value in case.model.items()})
    model = cfg.model
    if case.stages is not None:
        keep_stages(model, case.stages)
    for part in (model.get('test_cfg') or {}, (model.get('test_cfg') or {}).get('rcnn') or {}):
        if 'score_thr' in part:
            part['score_thr'] = 0.01
    narrowed(model.get('train_cfg')), narrowed(model.get('test_cfg'))
    if model.backbone.type != 'ResNet' or case.wide:
        return model
    if case.resnet:
        model.backbone.update(depth=18, base_channels=8, stem_channels=8)
    else:
        model.backbone = ConfigDict(type='FourConvs', out_indices=model.backbone.out_indices)
    if 'DETR' in model.type:  # embeddings have one width everywhere, also in defaults
        narrow_transformer(model)
        return model
    for slot in ('neck', 'rpn_head', 'bbox_head', 'roi_head', 'semantic_head'):
        narrowed(model.get(slot))
    neck = model.neck[0] if isinstance(model.neck, list) else model.neck
    neck.in_channels = [8, 16, 32, 64][-len(neck.in_channels) :]
    return model


def keep_stages(model: ConfigDict, number: int) -> None:
    """The first stages of a cascade alone."""
    model.roi_head.num_stages = number
    of_stages = ('bbox_head', 'mask_head', 'stage_loss_weights')
    model.roi_head.update({key: model.roi_head[key][:number] for key in of_stages if key in model.roi_head})
    model.train_cfg.rcnn = model.train_cfg.rcnn[:number]


def narrow_transformer(model: ConfigDict) -> None:
    """Few layers and queries; the width stays."""
    if model.get('neck') is None:
        model.bbox_head.in_channels = 64
    else:
        model.neck.in_channels = [16, 32, 64]
    transformer = model.bbox_head.transformer
    transformer.encoder.num_layers, transformer.decoder.num_layers = 1, 2
    model.bbox_head.num_query = 20


def built(case: Case) -> nn.Module:
    """A copy of the case's model, of which the last is kept: cases that differ in directives have equal ones."""
    key = repr((case.config, case.model, case.wide, case.resnet, case.classes))
    if key not in _built:
        _built.clear()
        model = build_detector(small_model(case))
        drop_nothing(model)
        model.CLASSES = [str(i) for i in range(case.classes)]
        _built[key] = fill_module(model, 0, 1.0, SCORES)
    return copy.deepcopy(_built[key])


def training_batch(case: Case, objects: bool = True) -> dict[str, DataContainer]:
    """A collated batch of two images."""
    height, width = case.size
    made = make_batch(0, h=height, w=width, num_classes=case.classes, empty=() if objects else (0, 1))
    for meta, directives in zip(made['img_metas'], case.metas):
        meta.update(copy.deepcopy(directives))
    rng = np.random.default_rng(1)
    made['gt_masks'] = [BitmapMasks(masks, height, width) for masks in made['gt_masks']]
    made['gt_semantic_seg'] = torch.from_numpy(rng.integers(0, 50, (2, 1, height // 8, width // 8)))
    made['proposals'] = [torch.from_numpy(random_boxes(rng, 20, height - 8, width - 16)) for _ in range(2)]
    made['gt_keypoints'] = [made_keypoints(rng, boxes) for boxes in made['gt_bboxes']]
    data = {key: DataContainer([made[key]], cpu_only=key == 'gt_masks') for key in case.keys}
    for key in ('img', 'gt_semantic_seg'):
        if key == 'img' or key in data:
            data[key] = DataContainer([made[key]], stack=True)
    return dict(data, img_metas=DataContainer([made['img_metas']], cpu_only=True))


def made_keypoints(rng: np.random.Generator, boxes: torch.Tensor) -> torch.Tensor:
    """(n, 17, 3) points in the boxes, with visibilities 0 to 2."""
    sides = (boxes[:, 2:] - boxes[:, :2]).numpy()
    points = boxes[:, None, :2].numpy() + rng.random((len(boxes), 17, 2)) * sides[:, None]
    return torch.from_numpy(np.concatenate([points, rng.integers(0, 3, (len(boxes), 17, 1))], 2).astype(np.float32))


def inference_batch(case: Case) -> dict[str, Any]:
    """The second image, for inference."""
    data = training_batch(case)
    metas = DataContainer([data['img_metas'].data[0][1:]], cpu_only=True)
    given: dict[str, Any] = dict(img=[data['img'].data[0][1:]], img_metas=[metas])
    if 'proposals' in case.keys:
        given['proposals'] = [DataContainer([data['proposals'].data[0][1:]])]
    return given
