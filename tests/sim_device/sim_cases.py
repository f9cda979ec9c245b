"""Every family, directive, sampler and option as a case; ``sim_models.py`` makes small models and batches of them."""

from typing import Any

from sim_models import BOXES, MASKS, Case
from sim_zoo_cases import ZOO

FASTER, MASK = 'faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py', 'mask_rcnn/mask_rcnn_r50_fpn_1x_coco.py'
RETINA = 'retinanet/retinanet_r50_fpn_1x_coco.py'
CASCADE = 'cascade_rcnn/cascade_mask_rcnn_r50_fpn_1x_coco.py'
FEW_GROUPS = {'bbox_head.norm_cfg': dict(type='GN', num_groups=8)}
FAMILIES = {
    'faster_rcnn': Case(FASTER, resnet=True),
    'mask_rcnn': Case(MASK, MASKS),
    'faster_rcnn_ignore_regions': Case(FASTER, (*BOXES, 'gt_bboxes_ignore')),
    'cascade_mask_rcnn': Case(CASCADE, MASKS),
    'fast_rcnn': Case('fast_rcnn/fast_rcnn_r50_fpn_1x_coco.py', (*BOXES, 'proposals')),
    'rpn': Case('rpn/rpn_r50_fpn_1x_coco.py', ('gt_bboxes',)),
    'retinanet': Case(RETINA),
    'fcos': Case('fcos/fcos_r50_caffe_fpn_gn-head_1x_coco.py', model=FEW_GROUPS),
    'atss': Case('atss/atss_r50_fpn_1x_coco.py', model=FEW_GROUPS),
    'gfl': Case('gfl/gfl_r50_fpn_1x_coco.py', model=FEW_GROUPS),
    'fovea': Case('foveabox/fovea_r50_fpn_4x4_1x_coco.py'),
    'fovea_align': Case('foveabox/fovea_align_r50_fpn_gn-head_4x4_2x_coco.py'),
    'fsaf': Case('fsaf/fsaf_r50_fpn_1x_coco.py'),
    'free_anchor': Case('free_anchor/retinanet_free_anchor_r50_fpn_1x_coco.py'),
    'ghm': Case('ghm/retinanet_ghm_r50_fpn_1x_coco.py'),
    'pisa_retinanet': Case('pisa/pisa_retinanet_r50_fpn_1x_coco.py'),
    'pisa_faster_rcnn': Case('pisa/pisa_faster_rcnn_r50_fpn_1x_coco.py'),
    'sabl_retinanet': Case('sabl/sabl_retinanet_r50_fpn_1x_coco.py'),
    'sabl_faster_rcnn': Case('sabl/sabl_faster_rcnn_r50_fpn_1x_coco.py'),
    'ga_retinanet': Case('guided_anchoring/ga_retinanet_r50_caffe_fpn_1x_coco.py'),
    'ga_faster_rcnn': Case('guided_anchoring/ga_faster_r50_caffe_fpn_1x_coco.py'),
    'cascade_rpn': Case('cascade_rpn/crpn_r50_caffe_fpn_1x_coco.py', ('gt_bboxes',)),
    'cascade_rpn_faster_rcnn': Case('cascade_rpn/crpn_faster_rcnn_r50_caffe_fpn_1x_coco.py'),
    'libra_rcnn': Case('libra_rcnn/libra_faster_rcnn_r50_fpn_1x_coco.py'),
    'double_heads': Case('double_heads/dh_faster_rcnn_r50_fpn_1x_coco.py'),
    'dynamic_rcnn': Case('dynamic_rcnn/dynamic_rcnn_r50_fpn_1x_coco.py'),
    'grid_rcnn': Case(
        'grid_rcnn/grid_rcnn_r50_fpn_gn-head_1x_coco.py', model={'roi_head.grid_head.point_feat_channels': 16}
    ),
    'groie': Case('groie/faster_rcnn_r50_fpn_groie_1x_coco.py'),
    'ms_rcnn': Case('ms_rcnn/ms_rcnn_r50_fpn_1x_coco.py', MASKS),
    'point_rend': Case(
        'point_rend/point_rend_r50_caffe_fpn_mstrain_1x_coco.py', MASKS, {'test_cfg.rcnn.subdivision_steps': 2}
    ),
    'htc': Case('htc/htc_r50_fpn_1x_coco.py', (*MASKS, 'gt_semantic_seg')),
    'scnet': Case(
        'scnet/scnet_r50_fpn_1x_coco.py',
        (*MASKS, 'gt_semantic_seg'),
        {
            'roi_head.glbctx_head.conv_out_channels': 256,
            'roi_head.semantic_head.conv_out_channels': 256,
            'roi_head.feat_relay_head.out_conv_channels': 256,
        },
    ),
    'panoptic_fpn': Case('panoptic_fpn/panoptic_fpn_r50_fpn_1x_coco.py', (*MASKS, 'gt_semantic_seg')),
    'detr': Case('detr/detr_r50_8x2_150e_coco.py'),
    'deformable_detr': Case('deformable_detr/deformable_detr_r50_16x2_50e_coco.py'),
    'sparse_rcnn': Case('sparse_rcnn/sparse_rcnn_r50_fpn_1x_coco.py'),
    'queryinst': Case('queryinst/queryinst_r50_fpn_1x_coco.py', MASKS, stages=2),
    'keypoint_rcnn': Case('keypoint_rcnn/keypoint_rcnn_r50_fpn_1x_coco.py', (*BOXES, 'gt_keypoints'), classes=1),
    'carafe': Case('carafe/mask_rcnn_r50_fpn_carafe_1x_coco.py', MASKS),
    'trident': Case(
        'tridentnet/tridentnet_r50_caffe_1x_coco.py',
        model={
            'backbone.base_channels': 8,
            'rpn_head.in_channels': 128,
            'rpn_head.feat_channels': 32,
            'roi_head.shared_head': None,
            'roi_head.bbox_roi_extractor.out_channels': 128,
            'roi_head.bbox_roi_extractor.roi_layer.output_size': 4,
            'roi_head.bbox_head.in_channels': 128,
            'roi_head.bbox_head.roi_feat_size': 4,
        },
        size=(64, 64),
        wide=True,
    ),
    'ssd': Case('ssd/ssdlite_mobilenetv2_scratch_600e_coco.py', size=(96, 96), wide=True),
    'retina_sepbn': Case('nas_fpn/retinanet_r50_nasfpn_crop640_50e_coco.py', size=(128, 256)),
    'deformable_convolutions': Case(
        'dcnv2/faster_rcnn_r50_fpn_mdpool_1x_coco.py',
        model={'roi_head.bbox_roi_extractor.roi_layer.deform_fc_channels': 32},
    ),
    'vgg': Case(
        'faster_rcnn_vgg16/faster_rcnn_vgg16_voc07.py',
        model={
            'backbone.width': 16,
            'rpn_head.in_channels': 32,
            'rpn_head.feat_channels': 32,
            'roi_head.bbox_roi_extractor.out_channels': 32,
            'roi_head.bbox_roi_extractor.roi_layer.output_size': 2,
            'roi_head.bbox_head.in_channels': 32,
            'roi_head.bbox_head.roi_feat_size': 2,
            'roi_head.bbox_head.fc_out_channels': 32,
        },
        classes=20,
        wide=True,
    ),
    **ZOO,
    'seesaw': Case('seesaw_loss/mask_rcnn_r50_fpn_random_seesaw_loss_mstrain_2x_lvis_v1.py', MASKS),
}

WEIGHED = dict(directives=dict(weights=True, ignore_negatives=True))
POLICIES = {
    'weights': {'rpn_head.loss_weight': 0.5, 'roi_head.loss_weight': 2.0},
    'mask_weight': {'mask_head.loss_weight': 0.3},
    'ignore_negatives': {'ignore_negatives': 1},
    'soft': {'negatives': dict(type='soft', weight=0.2)},
    'overlap': {'negatives': 'overlap'},
    'recalibrate': {'negatives': dict(type='recalibrate', score_thr=0.3, warmup=0)},
    'none': {'negatives': 'none'},
    'labeled': {'labeled_classes': [1, 2, 3, 7]},
    'unlabeled': {'unlabeled_classes': [0, 5, 6]},
    'negative_weight': {'rpn_head.negative_weight': 0.1, 'roi_head.negative_weight': 0.3},
}
RETINA_KEYS = {'rpn_head.loss_weight': 'bbox_head.loss_weight', 'rpn_head.negative_weight': 'bbox_head.negative_weight'}


def of_one_stage(directives: dict) -> dict:
    """The same directives for a detector that has one head."""
    return {RETINA_KEYS.get(key, key): value for key, value in directives.items() if not key.startswith('roi')}


DIRECTIVES = {
    f'mask_rcnn {name}': Case(MASK, MASKS, WEIGHED, ({}, meta), tests=False) for name, meta in POLICIES.items()
}
DIRECTIVES |= {
    f'retinanet {name}': Case(RETINA, model=WEIGHED, metas=({}, of_one_stage(meta)), tests=False)
    for name, meta in POLICIES.items()
    if not name.startswith('mask')
}
DIRECTIVES |= {
    f'mask_rcnn fixed_size {name}': Case(MASK, MASKS, dict(WEIGHED, fixed_size=True), ({}, POLICIES[name]), tests=False)
    for name in ('weights', 'ignore_negatives', 'overlap', 'recalibrate', 'labeled')
}
DIRECTIVES |= {
    f'{name} overlap': FAMILIES[name]._replace(
        model=dict(FAMILIES[name].model, directives=dict(weights=True)),
        metas=({}, {'negatives': 'overlap', 'bbox_head.loss_weight': 0.5}),
        tests=False,
    )
    for name in ('fcos', 'atss', 'gfl', 'fovea', 'sabl_retinanet', 'deformable_detr', 'sparse_rcnn', 'ga_retinanet')
}
IGNORED = ({}, {'ignore_negatives': 1})
# fewer than there are, so that samplers have to choose
RCNN = dict(num=16, pos_fraction=0.25, neg_pos_ub=-1, add_gt_as_proposals=True)


def with_sampler(kind: str, metas: tuple[dict, dict] = ({}, {}), **settings: Any) -> Case:
    """Faster R-CNN whose second stage draws with another sampler."""
    return Case(FASTER, model={'train_cfg.rcnn.sampler': dict(type=kind, **RCNN, **settings)}, metas=metas, tests=False)


SAMPLERS = {
    'sampler RandomSampler': with_sampler('RandomSampler'),
    'sampler RandomSamplerWithIgnore': with_sampler('RandomSamplerWithIgnore', IGNORED),
    'sampler OHEMSampler': with_sampler('OHEMSampler'),
    'sampler OHEMSamplerWithIgnore': with_sampler('OHEMSamplerWithIgnore', IGNORED),
    'sampler IoUBalancedNegSampler': with_sampler('IoUBalancedNegSampler', floor_thr=-1, floor_fraction=0, num_bins=3),
    'sampler InstanceBalancedPosSampler': with_sampler('InstanceBalancedPosSampler'),
    'sampler CombinedSampler': with_sampler(
        'CombinedSampler',
        pos_sampler=dict(type='InstanceBalancedPosSampler'),
        neg_sampler=dict(type='IoUBalancedNegSampler', floor_thr=-1, floor_fraction=0, num_bins=3),
    ),
}
OPTIONS = {
    'option fixed_size faster_rcnn': Case(FASTER, model=dict(fixed_size=True)),
    'option fixed_size mask_rcnn': Case(MASK, MASKS, dict(fixed_size=True)),
    'option fixed_size retinanet': Case(RETINA, model=dict(fixed_size=True)),
    'option input_norm': Case(FASTER, model=dict(input_norm=dict(mean=[1.0, 2, 3], std=[1.0, 2, 3]))),
    'option channels_last fold_norm': Case(MASK, MASKS, dict(channels_last=True, fold_norm=True)),
    'option domain': Case(
        FASTER,
        model={
            'train_cfg.domain': dict(
                image=dict(in_channels=16, hidden_channels=16),
                instance=dict(in_channels=16, hidden_channels=16),
                consistency_weight=0.1,
            )
        },
        metas=({'domain': 0}, {'domain': 1}),
    ),
}
CASES = {**FAMILIES, **DIRECTIVES, **SAMPLERS, **OPTIONS}
