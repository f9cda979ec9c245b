"""Parts of a model that do not fit each other are named before data are read."""

import copy

import pytest
import torch
from mmcv import Config
from tiny import ROOT, write_config

from mmdet.apis.checking.layer_widths import check_layers
from mmdet.apis.checking.made_image import made_batch
from mmdet.models import build_detector
from mmdet.utils.configs.config_error import ConfigError

NORM = dict(type='BN', requires_grad=True)
RESNET = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=NORM)
FPN = dict(type='FPN', in_channels=[8, 16, 32, 64], out_channels=16, num_outs=5, add_extra_convs='on_output')
ASSIGNER = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0)


def mask_rcnn(tiny):
    cfg = copy.deepcopy(tiny)
    cfg['roi_head']['mask_roi_extractor'] = dict(
        cfg['roi_head']['bbox_roi_extractor'], roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0)
    )
    cfg['roi_head']['mask_head'] = dict(
        type='FCNMaskHead', num_convs=1, in_channels=16, conv_out_channels=16, num_classes=2
    )
    cfg['train_cfg']['rcnn']['mask_size'] = 28
    cfg['test_cfg']['rcnn']['mask_thr_binary'] = 0.5
    return cfg


def retinanet(_):
    head = dict(type='RetinaHead', num_classes=2, in_channels=16, stacked_convs=1, feat_channels=16)
    generator = dict(type='AnchorGenerator', scales=[4], ratios=[1.0], strides=[4, 8, 16, 32, 64])
    train_cfg = dict(assigner=ASSIGNER, allowed_border=-1, pos_weight=-1, debug=False)
    return dict(
        type='RetinaNet', backbone=RESNET, neck=FPN, bbox_head=dict(head, anchor_generator=generator),
        train_cfg=train_cfg, test_cfg=dict(nms_pre=100, nms=dict(type='nms', iou_threshold=0.5), max_per_img=9),
    )  # fmt: skip


def yolox(_):
    return dict(
        type='YOLOX', input_size=(64, 64),
        backbone=dict(type='CSPDarknet', deepen_factor=0.33, widen_factor=0.125),
        neck=dict(type='YOLOXPAFPN', in_channels=[32, 64, 128], out_channels=32, num_csp_blocks=1),
        bbox_head=dict(type='YOLOXHead', num_classes=2, in_channels=32, feat_channels=32),
        train_cfg=dict(assigner=dict(type='SimOTAAssigner', center_radius=2.5)),
        test_cfg=dict(score_thr=0.01, nms=dict(type='nms', iou_threshold=0.65)),
    )  # fmt: skip


def detr(_):
    cfg = Config.fromfile(str(ROOT / 'configs/detr/detr_r50_8x2_150e_coco.py'))._cfg_dict.model.to_dict()
    for part in ('encoder', 'decoder'):
        cfg['bbox_head']['transformer'][part]['num_layers'] = 1
    cfg['bbox_head']['in_channels'] = 64
    return dict(cfg, backbone=dict(RESNET, out_indices=(3,)))


def solo(_):
    head = dict(
        type='SOLOHead', num_classes=2, in_channels=16, feat_channels=16, stacked_convs=1, num_grids=[8, 7, 6, 5, 4],
        strides=[8, 8, 16, 32, 32], scale_ranges=((1, 96), (48, 192), (96, 384), (192, 768), (384, 2048)),
        norm_cfg=dict(type='GN', num_groups=4), loss_mask=dict(type='DiceLoss', use_sigmoid=True),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True),
    )  # fmt: skip
    test_cfg = dict(
        nms_pre=9, score_thr=0.1, mask_thr=0.5, filter_thr=0.05, kernel='gaussian', sigma=2.0, max_per_img=9
    )
    return dict(type='SOLO', backbone=RESNET, neck=dict(FPN, num_outs=5), mask_head=head, test_cfg=test_cfg)


MODELS = dict(solo=solo, faster_rcnn=copy.deepcopy, mask_rcnn=mask_rcnn, retinanet=retinanet, yolox=yolox, detr=detr)


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    tiny = Config.fromfile(str(write_config(tmp_path_factory.mktemp('layers'))))._cfg_dict.model.to_dict()
    return {name: make(tiny) for name, make in MODELS.items()}


@pytest.mark.parametrize('name', MODELS)
def test_model_that_fits_passes_unchanged(models, name, caplog):
    model = build_detector(copy.deepcopy(models[name]))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    with caplog.at_level('DEBUG', 'mmdet'):
        check_layers(model, dict(model=models[name]))
    assert 'trial of layers' not in caplog.text  # it came to its end
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


# model, keys and value that do not fit, and what the line says
MISFITS = [
    ('faster_rcnn', 'neck.in_channels', [8, 16, 32, 65],
     r'^model.neck \(FPN\): its layer lateral_convs.3.conv takes 65, and is given 64; .*in_channels=\[8, 16, 32, 65\].*'
     r'in_channels=\[8, 16, 32, 64\] would fit it$'),
    ('faster_rcnn', 'neck.in_channels', [8, 16, 32], r'expected 3 inputs, got 4.*\[8, 16, 32, 64\] would fit'),
    ('faster_rcnn', 'neck.out_channels', 32, r'^model.rpn_head .* takes 16, and is given 32.*in_channels=32 would fit'),
    ('faster_rcnn', 'backbone.out_indices', (0, 1, 2), r'expected 4 inputs, got 3.* \[8, 16, 32\] channels'),
    ('faster_rcnn', 'rpn_head.in_channels', 17, r'layer rpn_conv takes 17, and is given 16.*in_channels=16 would fit'),
    ('faster_rcnn', 'rpn_head.anchor_generator.strides', [4, 8], r'has 2 strides \[4, 8\], and 5 feature maps'),
    ('faster_rcnn', 'rpn_head.anchor_generator.strides', [8, 16, 32, 64, 128],
     r'^model.rpn_head .*strides are \[8, 16, 32, 64, 128\], and those of its feature maps 4, 8, 16, 32, 64'),
    ('faster_rcnn', 'roi_head.bbox_roi_extractor.featmap_strides', [8, 16, 32, 64],
     r'^model.roi_head.bbox_roi_extractor .*strides are \[8, .* feature maps 4, 8, 16, 32'),
    ('faster_rcnn', 'roi_head.bbox_roi_extractor.featmap_strides', [4, 8, 16, 32, 64, 128],
     'has 6 strides .*, and 5 feature maps'),
    ('faster_rcnn', 'roi_head.bbox_roi_extractor.out_channels', 17, 'out_channels is 17, .* have 16 channels'),
    ('faster_rcnn', 'roi_head.bbox_roi_extractor.roi_layer.output_size', 14, 'roi_feat_size=14 would fit'),
    ('faster_rcnn', 'roi_head.bbox_head.in_channels', 17,
     r'^model.roi_head.bbox_head .*shared_fcs.0 takes 833, and is given 784; .*in_channels=17.*roi_feat_size=7; what '
     'comes in has 16 channels of 7 x 7; in_channels=16 would fit it$'),
    ('faster_rcnn', 'roi_head.bbox_head.roi_feat_size', 5, 'takes 400, and is given 784.*roi_feat_size=7 would fit'),
    ('mask_rcnn', 'roi_head.mask_head.in_channels', 17, r'^model.roi_head.mask_head .*in_channels=16 would fit'),
    ('retinanet', 'bbox_head.in_channels', 17, r'^model.bbox_head .*in_channels=16 would fit'),
    ('retinanet', 'neck.num_outs', 6, 'it has 5 strides .*, and 6 feature maps come in'),
    ('yolox', 'neck.in_channels', [32, 64, 96], r'^model.neck .*in_channels=\[32, 64, 128\] would fit'),
    ('yolox', 'bbox_head.in_channels', 48, r'^model.bbox_head .*in_channels=32 would fit'),
    ('yolox', 'bbox_head.strides', [8, 16], r'^model.bbox_head .*has 2 strides \[8, 16\], and 3 feature maps'),
    ('solo', 'mask_head.num_grids', [8, 7, 6, 5],
     r'^model.mask_head \(SOLOHead\): num_grids has 4 entries \[8, 7, 6, 5\], and 5 feature maps come in'),
    ('solo', 'mask_head.strides', [8, 8, 16, 32], r'^model.mask_head .* strides has 4 entries .* 5 feature maps come'),
    ('solo', 'mask_head.scale_ranges', [(1, 96), (48, 2048)], r'^model.mask_head .* scale_ranges has 2 entries'),
    ('solo', 'neck.num_outs', 4, r'^model.mask_head .*and 4 feature maps come in'),
    ('detr', 'bbox_head.in_channels', 65, r'^model.bbox_head .*in_channels=64 would fit'),
    ('detr', 'bbox_head.transformer.decoder.transformerlayers.attn_cfgs.embed_dims', 128, r'^model.bbox_head.transf'),
]  # fmt: skip


def changed(model, key, value):
    """A copy of a model's config with another value at a key with dots."""
    cfg = copy.deepcopy(model)
    *path, last = [int(part) if part.isdigit() else part for part in key.split('.')]
    node = cfg
    for part in path:
        node = node[part]
    node[last] = value
    return cfg


@pytest.mark.parametrize(('name', 'key', 'value', 'text'), MISFITS, ids=lambda value: str(value)[:40])
def test_misfit_is_named_with_its_place_and_numbers(models, name, key, value, text):
    cfg = changed(models[name], key, value)
    with pytest.raises(ConfigError, match=text) as caught:
        check_layers(build_detector(copy.deepcopy(cfg)), dict(model=cfg))
    assert '\n' not in str(caught.value)


def test_what_depends_on_the_size_of_the_image_is_no_misfit(models, monkeypatch):
    model = build_detector(copy.deepcopy(models['retinanet']))

    def fails(img, **_):
        return img.new_zeros(img.shape[-1]) + img.new_zeros(3)

    monkeypatch.setattr(model, 'forward_train', fails)
    check_layers(model, dict(model=models['retinanet']))


FAILURES = [
    (
        'mask_rcnn',
        'test_cfg.rcnn.mask_thr_binary',
        None,
        r'^model.roi_head.mask_head \(FCNMaskHead\): a detection with a ',
    ),
    (
        'yolox',
        'train_cfg',
        None,
        r"^model.bbox_head \(YOLOXHead\): a training step with .*AttributeError: .*'assigner'",
    ),
    (
        'yolox',
        'test_cfg',
        None,
        r'^model.bbox_head \(YOLOXHead\): a detection with a made image ends with AttributeError',
    ),
    ('retinanet', 'test_cfg.nms', dict(type='nms'), r'^model.bbox_head .* a detection .*TypeError: .*iou_threshold'),
]


@pytest.mark.parametrize(('name', 'key', 'value', 'text'), FAILURES, ids=lambda value: str(value)[:40])
def test_other_errors_of_training_and_detection_are_told_before_data(models, name, key, value, text):
    cfg = changed(models[name], key, value)
    with pytest.raises(ConfigError, match=f'{text}.*audit=dict.enable=False. leaves this trial out.$'):
        check_layers(build_detector(copy.deepcopy(cfg)), dict(model=cfg))


class Elsewhere(torch.nn.Module):
    """A module that is not of this package."""


@pytest.mark.parametrize(
    ('error', 'own'),
    [(KeyError('domain of the made image'), True), (RuntimeError('no kernel for cpu'), True), (KeyError('x'), False)],
)
def test_errors_of_images_devices_and_modules_from_elsewhere_are_left(models, monkeypatch, error, own):
    model = build_detector(copy.deepcopy(models['retinanet']))
    if not own:
        model.extra = Elsewhere()

    def fails(img, **_):
        raise error

    monkeypatch.setattr(model, 'forward_train', fails)
    check_layers(model, dict(model=models['retinanet']))


def test_model_that_needs_a_larger_image_gets_one(models, monkeypatch):
    model = build_detector(copy.deepcopy(models['retinanet']))
    whole, sides = type(model).forward_train, []

    def needs_more(self, img, img_metas, **truth):
        sides.append(img.shape[-1])
        if img.shape[-1] < 200:
            raise RuntimeError("Kernel size can't be greater than actual input size")
        return whole(self, img, img_metas, **truth)

    monkeypatch.setattr(type(model), 'forward_train', needs_more)
    check_layers(model, dict(model=models['retinanet']))
    assert sides == [128, 512]


def test_check_can_be_left_out(models):
    cfg = dict(copy.deepcopy(models['retinanet']), neck=dict(FPN, in_channels=[8, 16, 32, 65]))
    check_layers(build_detector(copy.deepcopy(cfg)), dict(model=cfg, audit=dict(enable=False)))


def test_made_batch_has_what_the_model_takes(models):
    batch = made_batch(build_detector(copy.deepcopy(models['mask_rcnn'])), models['mask_rcnn'], 64)
    assert batch['img'].shape == (1, 3, 64, 64)
    assert batch['gt_bboxes'][0].tolist() == [[16, 16, 48, 48]]
    assert batch['gt_masks'][0].masks.sum() == 32 * 32
    assert 'gt_semantic_seg' not in batch and 'proposals' not in batch
