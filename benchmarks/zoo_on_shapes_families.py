"""The families of ``benchmarks/zoo_on_shapes.py``: the config of each, and what it needs beside the narrowing."""

from collections.abc import Callable
from typing import Any

# the likeliest to be asked for, and the quickest, first: a run may end when its budget is used up
FAMILIES = {
    'faster_rcnn': 'faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py',
    'retinanet': 'retinanet/retinanet_r50_fpn_1x_coco.py',
    'fcos': 'fcos/fcos_r50_caffe_fpn_gn-head_1x_coco.py',
    'atss': 'atss/atss_r50_fpn_1x_coco.py',
    'yolox': 'yolox/yolox_tiny_8x8_300e_coco.py',
    'mask_rcnn': 'mask_rcnn/mask_rcnn_r50_fpn_1x_coco.py',
    'cascade_rcnn': 'cascade_rcnn/cascade_rcnn_r50_fpn_1x_coco.py',
    'tood': 'tood/tood_r50_fpn_1x_coco.py',
    'vfnet': 'vfnet/vfnet_r50_fpn_1x_coco.py',
    'gfl': 'gfl/gfl_r50_fpn_1x_coco.py',
    'paa': 'paa/paa_r50_fpn_1x_coco.py',
    'autoassign': 'autoassign/autoassign_r50_fpn_8x2_1x_coco.py',
    'ddod': 'ddod/ddod_r50_fpn_1x_coco.py',
    'reppoints': 'reppoints/reppoints_moment_r50_fpn_1x_coco.py',
    'yolof': 'yolof/yolof_r50_c5_8x8_1x_coco.py',
    'yolo': 'yolo/yolov3_mobilenetv2_320_300e_coco.py',
    'solo': 'solo/solo_r50_fpn_1x_coco.py',
    'solov2': 'solov2/solov2_r50_fpn_1x_coco.py',
    'yolact': 'yolact/yolact_r50_1x8_coco.py',
    'mask2former': 'mask2former/mask2former_r50_lsj_8x2_50e_coco.py',
    'maskformer': 'maskformer/maskformer_r50_mstrain_16x1_75e_coco.py',
    'sparse_rcnn': 'sparse_rcnn/sparse_rcnn_r50_fpn_1x_coco.py',
    'deformable_detr': 'deformable_detr/deformable_detr_r50_16x2_50e_coco.py',
    'detr': 'detr/detr_r50_8x2_150e_coco.py',
    'foveabox': 'foveabox/fovea_r50_fpn_4x4_1x_coco.py',
    'free_anchor': 'free_anchor/retinanet_free_anchor_r50_fpn_1x_coco.py',
    'fsaf': 'fsaf/fsaf_r50_fpn_1x_coco.py',
    'nas_fcos': 'nas_fcos/nas_fcos_nashead_r50_caffe_fpn_gn-head_4x4_1x_coco.py',
    'ghm': 'ghm/retinanet_ghm_r50_fpn_1x_coco.py',
    'sabl': 'sabl/sabl_retinanet_r50_fpn_1x_coco.py',
    'pisa': 'pisa/pisa_faster_rcnn_r50_fpn_1x_coco.py',
    'rpn': 'rpn/rpn_r50_fpn_1x_coco.py',
    'guided_anchoring': 'guided_anchoring/ga_faster_r50_caffe_fpn_1x_coco.py',
    'cascade_rpn': 'cascade_rpn/crpn_faster_rcnn_r50_caffe_fpn_1x_coco.py',
    'libra_rcnn': 'libra_rcnn/libra_faster_rcnn_r50_fpn_1x_coco.py',
    'dynamic_rcnn': 'dynamic_rcnn/dynamic_rcnn_r50_fpn_1x_coco.py',
    'double_heads': 'double_heads/dh_faster_rcnn_r50_fpn_1x_coco.py',
    'grid_rcnn': 'grid_rcnn/grid_rcnn_r50_fpn_gn-head_1x_coco.py',
    'groie': 'groie/faster_rcnn_r50_fpn_groie_1x_coco.py',
    'queryinst': 'queryinst/queryinst_r50_fpn_1x_coco.py',
    'htc': 'htc/htc_r50_fpn_1x_coco.py',
    'scnet': 'scnet/scnet_r50_fpn_1x_coco.py',
    'ms_rcnn': 'ms_rcnn/ms_rcnn_r50_caffe_fpn_1x_coco.py',
    'point_rend': 'point_rend/point_rend_r50_caffe_fpn_mstrain_1x_coco.py',
    'seesaw_loss': 'seesaw_loss/mask_rcnn_r50_fpn_random_seesaw_loss_mstrain_2x_lvis_v1.py',
    'dyhead': 'dyhead/atss_r50_fpn_dyhead_1x_coco.py',
    'pafpn': 'pafpn/faster_rcnn_r50_pafpn_1x_coco.py',
    'carafe': 'carafe/faster_rcnn_r50_fpn_carafe_1x_coco.py',
    'fpg': 'fpg/faster_rcnn_r50_fpg-chn128_crop640_50e_coco.py',
    'nas_fpn': 'nas_fpn/retinanet_r50_nasfpn_crop640_50e_coco.py',
    'dcn': 'dcn/faster_rcnn_r50_fpn_dconv_c3-c5_1x_coco.py',
    'dcnv2': 'dcnv2/faster_rcnn_r50_fpn_mdconv_c3-c5_1x_coco.py',
    'gcnet': 'gcnet/mask_rcnn_r50_fpn_r16_gcb_c3-c5_1x_coco.py',
    'empirical_attention': 'empirical_attention/faster_rcnn_r50_fpn_attention_0010_1x_coco.py',
    'pvt': 'pvt/retinanet_pvtv2-b0_fpn_1x_coco.py',
    'ssd': 'ssd/ssdlite_mobilenetv2_scratch_600e_coco.py',
    'centernet': 'centernet/centernet_resnet18_140e_coco.py',
    'ld': 'ld/ld_r50_gflv1_r101_fpn_coco_1x.py',
    'lad': 'lad/lad_r50_paa_r101_fpn_coco_1x.py',
    'cornernet': 'cornernet/cornernet_hourglass104_mstest_8x6_210e_coco.py',
    'centripetalnet': 'centripetalnet/centripetalnet_hourglass104_mstest_16x6_210e_coco.py',
    'detectors': 'detectors/detectors_cascade_rcnn_r50_1x_coco.py',
}

# families that learn from a detector of another one
TAUGHT_BY = {'ld': 'gfl', 'lad': 'paa'}

# those that begin slowly are trained so many times as long as the others
SLOW = ('yolox', 'ghm', 'yolof', 'yolo', 'free_anchor', 'fsaf', 'reppoints', 'yolact', 'solo')
SLOW += ('guided_anchoring', 'cascade_rpn', 'ssd', 'centernet')
QUERIES = ('detr', 'deformable_detr', 'sparse_rcnn', 'queryinst', 'maskformer')
TIMES = {**dict.fromkeys(SLOW, 3), **dict.fromkeys(QUERIES, 4)}

# mmcv's layers have 256 channels in their feed-forward part unless they are told
FFN = dict(type='FFN', embed_dims=64, feedforward_channels=256, num_fcs=2, ffn_drop=0.1, act_cfg=dict(type='ReLU'))


def narrow_layers(size: int) -> dict[str, Any]:
    """Changes to the transformer of a DETR."""
    layers = [f'model.bbox_head.transformer.{part}.transformerlayers.ffn_cfgs' for part in ('encoder', 'decoder')]
    return dict.fromkeys(layers, FFN)


def small_ssd(size: int) -> dict[str, Any]:
    """Changes to an SSD for images of 320 px: the anchors of its six levels and the maps after the backbone's two."""
    sides = [round(side * size / 320) for side in (48, 100, 150, 202, 253, 304, 320)]
    strides = [min(stride, size) for stride in (16, 32, 64, 128, 256, 512)]
    channels = (96, 1280, 128, 64, 64, 32)
    anchors = dict(strides=strides, min_sizes=sides[:-1], max_sizes=sides[1:])
    return {
        'model.neck.out_channels': channels,
        'model.bbox_head.in_channels': channels,
        **{f'model.bbox_head.anchor_generator.{key}': value for key, value in anchors.items()},
    }


def narrow_hourglass(size: int) -> dict[str, Any]:
    """Changes to a network of hourglasses, whose width no argument sets as a whole."""
    return {'model.backbone.stage_channels': (64, 64, 96, 96, 96, 128), 'model.backbone.feat_channel': 64}


# changes to configs beside the narrowing, by the side of the images, px
OPTIONS: dict[str, Callable[[int], dict[str, Any]]] = {
    'yolox': lambda size: {'model.input_size': (size, size), 'model.random_size_range': (size // 32, size // 32)},
    # layers that normalise after they add lose their queries' differences at the rate of the others
    'detr': lambda size: {**narrow_layers(size), 'optimizer.lr': 0.0002},
    'maskformer': lambda size: {
        'model.test_cfg.panoptic_on': False,
        'model.test_cfg.instance_on': True,
        'optimizer.lr': 0.0002,
    },
    'deformable_detr': narrow_layers,
    'ssd': small_ssd,
    'cornernet': narrow_hourglass,
    'centripetalnet': narrow_hourglass,
    'lad': lambda size: {'model.teacher_backbone.depth': 50},
    'detectors': lambda size: {'model.neck.rfp_backbone.rfp_inplanes': 64},
}

# folders of configs/ that are not trained, and why
OTHER_DATA = 'the detectors of other folders, for another data set'
OTHER_BACKBONE = 'the detectors of other folders, with another backbone'
OTHER_TRAINING = 'the detectors of other folders, trained otherwise'
ONE_WIDTH = 'its backbone comes in one width'
LEFT_OUT = {
    'albu_example': OTHER_TRAINING,
    'cityscapes': OTHER_DATA,
    'convnext': OTHER_BACKBONE,
    'custom': OTHER_DATA,
    'deepfashion': OTHER_DATA,
    'demo': 'trained by `make demo`',
    'efficientnet': OTHER_BACKBONE,
    'faster_rcnn_vgg16': ONE_WIDTH,
    'fast_rcnn': 'needs proposals of another detector',
    'gn': OTHER_TRAINING,
    'gn+ws': OTHER_TRAINING,
    'hrnet': OTHER_BACKBONE,
    'instaboost': OTHER_TRAINING,
    'keypoint_rcnn': 'needs keypoints: `benchmarks/keypoints_on_shapes.py`',
    'legacy_1.x': OTHER_TRAINING,
    'lvis': OTHER_DATA,
    'objects365': OTHER_DATA,
    'openimages': OTHER_DATA,
    'panoptic_fpn': 'needs maps of stuff',
    'pascal_voc': OTHER_DATA,
    'regnet': OTHER_BACKBONE,
    'res2net': OTHER_BACKBONE,
    'resnest': OTHER_BACKBONE,
    'resnet_strikes_back': OTHER_BACKBONE,
    'rfnext': 'needs a structure that a search has found',
    'scratch': OTHER_TRAINING,
    'selfsup_pretrain': OTHER_TRAINING,
    'simple_copy_paste': OTHER_TRAINING,
    'strong_baselines': OTHER_TRAINING,
    'swin': OTHER_BACKBONE,
    'timm_example': OTHER_BACKBONE,
    'torchvision': "the detectors of other folders, with torchvision's weights",
    'tridentnet': ONE_WIDTH,
    'wider_face': OTHER_DATA,
}
