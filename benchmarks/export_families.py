"""The families of ``benchmarks/export_parity.py``, and the folders of configs/ that have none of their own."""

from typing import NamedTuple

from zoo_on_shapes_families import OTHER_DATA, OTHER_TRAINING


class Family(NamedTuple):
    """A config that stands for a family.

    Attributes:
        config: in configs/.
        wide: its channels stay as they are: narrowing knows not all of its parts.
        size: height and width px of the one size it is exported for; None: any.
    """

    config: str
    wide: bool = False
    size: tuple[int, int] | None = None


FAMILIES = {
    'RetinaNet': Family('retinanet/retinanet_r18_fpn_1x8_1x_coco.py'),
    'FCOS': Family('fcos/fcos_r50_caffe_fpn_gn-head_1x_coco.py'),
    'ATSS': Family('atss/atss_r50_fpn_1x_coco.py'),
    'GFL': Family('gfl/gfl_r50_fpn_1x_coco.py'),
    'SSD': Family('ssd/ssdlite_mobilenetv2_scratch_600e_coco.py', wide=True, size=(320, 320)),
    'YOLOX': Family('yolox/yolox_tiny_8x8_300e_coco.py'),
    'YOLOv3': Family('yolo/yolov3_mobilenetv2_mstrain-416_300e_coco.py'),
    'RPN': Family('rpn/rpn_r50_fpn_1x_coco.py'),
    'Faster R-CNN': Family('faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py'),
    'Mask R-CNN': Family('mask_rcnn/mask_rcnn_r50_fpn_1x_coco.py'),
    'Cascade R-CNN': Family('cascade_rcnn/cascade_mask_rcnn_r50_fpn_1x_coco.py'),
    'Keypoint R-CNN': Family('keypoint_rcnn/keypoint_rcnn_r50_fpn_1x_coco.py'),
    'Faster R-CNN with deformable convolutions': Family('dcn/faster_rcnn_r50_fpn_dconv_c3-c5_1x_coco.py'),
    'DETR': Family('detr/detr_r50_8x2_150e_coco.py', wide=True),
    'Deformable DETR': Family('deformable_detr/deformable_detr_r50_16x2_50e_coco.py', wide=True),
    'Sparse R-CNN': Family('sparse_rcnn/sparse_rcnn_r50_fpn_1x_coco.py'),
    'SOLOv2': Family('solov2/solov2_r50_fpn_1x_coco.py', size=(256, 320)),
    'Mask2Former': Family('mask2former/mask2former_r50_lsj_8x2_50e_coco.py'),
    'YOLACT': Family('yolact/yolact_r50_1x8_coco.py'),
    'PointRend': Family('point_rend/point_rend_r50_caffe_fpn_mstrain_1x_coco.py'),
    'FoveaBox': Family('foveabox/fovea_r50_fpn_4x4_1x_coco.py'),
    'TOOD': Family('tood/tood_r50_fpn_1x_coco.py', wide=True),
    'VFNet': Family('vfnet/vfnet_r50_fpn_1x_coco.py', wide=True),
    'YOLOF': Family('yolof/yolof_r50_c5_8x8_1x_coco.py'),
    'CenterNet': Family('centernet/centernet_resnet18_140e_coco.py', wide=True),
    'Grid R-CNN': Family('grid_rcnn/grid_rcnn_r50_fpn_gn-head_2x_coco.py'),
    'PAA': Family('paa/paa_r50_fpn_1x_coco.py'),
    'AutoAssign': Family('autoassign/autoassign_r50_fpn_8x2_1x_coco.py'),
    'DDOD': Family('ddod/ddod_r50_fpn_1x_coco.py'),
    'RepPoints': Family('reppoints/reppoints_moment_r50_fpn_1x_coco.py'),
    'SOLO': Family('solo/solo_r50_fpn_1x_coco.py', size=(256, 320)),
    'MaskFormer': Family('maskformer/maskformer_r50_mstrain_16x1_75e_coco.py'),
    'FreeAnchor': Family('free_anchor/retinanet_free_anchor_r50_fpn_1x_coco.py'),
    'FSAF': Family('fsaf/fsaf_r50_fpn_1x_coco.py'),
    'NAS-FCOS': Family('nas_fcos/nas_fcos_nashead_r50_caffe_fpn_gn-head_4x4_1x_coco.py'),
    'GHM': Family('ghm/retinanet_ghm_r50_fpn_1x_coco.py'),
    'SABL': Family('sabl/sabl_retinanet_r50_fpn_1x_coco.py'),
    'PISA': Family('pisa/pisa_faster_rcnn_r50_fpn_1x_coco.py'),
    'Guided anchoring': Family('guided_anchoring/ga_faster_r50_caffe_fpn_1x_coco.py'),
    'Cascade RPN': Family('cascade_rpn/crpn_faster_rcnn_r50_caffe_fpn_1x_coco.py'),
    'Libra R-CNN': Family('libra_rcnn/libra_faster_rcnn_r50_fpn_1x_coco.py', size=(256, 320)),
    'Dynamic R-CNN': Family('dynamic_rcnn/dynamic_rcnn_r50_fpn_1x_coco.py'),
    'Double-Head R-CNN': Family('double_heads/dh_faster_rcnn_r50_fpn_1x_coco.py'),
    'GRoIE': Family('groie/faster_rcnn_r50_fpn_groie_1x_coco.py'),
    'QueryInst': Family('queryinst/queryinst_r50_fpn_1x_coco.py'),
    'HTC': Family('htc/htc_r50_fpn_1x_coco.py'),
    'SCNet': Family('scnet/scnet_r50_fpn_1x_coco.py'),
    'Mask Scoring R-CNN': Family('ms_rcnn/ms_rcnn_r50_caffe_fpn_1x_coco.py'),
    'Seesaw loss': Family('seesaw_loss/mask_rcnn_r50_fpn_random_seesaw_loss_mstrain_2x_lvis_v1.py'),
    'DyHead': Family('dyhead/atss_r50_fpn_dyhead_1x_coco.py'),
    'PAFPN': Family('pafpn/faster_rcnn_r50_pafpn_1x_coco.py'),
    'CARAFE': Family('carafe/faster_rcnn_r50_fpn_carafe_1x_coco.py'),
    'FPG': Family('fpg/faster_rcnn_r50_fpg-chn128_crop640_50e_coco.py'),
    'NAS-FPN': Family('nas_fpn/retinanet_r50_nasfpn_crop640_50e_coco.py'),
    'DCNv2': Family('dcnv2/faster_rcnn_r50_fpn_mdconv_c3-c5_1x_coco.py'),
    'GCNet': Family('gcnet/mask_rcnn_r50_fpn_r16_gcb_c3-c5_1x_coco.py'),
    'Empirical attention': Family('empirical_attention/faster_rcnn_r50_fpn_attention_1111_1x_coco.py'),
    'PVT': Family('pvt/retinanet_pvtv2-b0_fpn_1x_coco.py'),
    'Swin': Family('swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py'),
    'EfficientNet': Family('efficientnet/retinanet_effb3_fpn_crop896_8x4_1x_coco.py'),
    'HRNet': Family('hrnet/fcos_hrnetv2p_w18_gn-head_4x4_1x_coco.py'),
    'RegNet': Family('regnet/retinanet_regnetx-800MF_fpn_1x_coco.py'),
    'Res2Net': Family('res2net/faster_rcnn_r2_101_fpn_2x_coco.py'),
    'ResNeSt': Family('resnest/faster_rcnn_s50_fpn_syncbn-backbone+head_mstrain-range_1x_coco.py'),
    'RFNext': Family('rfnext/rfnext_fixed_multi_branch_mask_rcnn_pvtv2-b0_fpn_1x_coco.py'),
    'torchvision': Family('torchvision/faster_rcnn_mobilenet_v3_large_320_fpn.py'),
    'GN': Family('gn/mask_rcnn_r50_fpn_gn-all_2x_coco.py'),
    'GN and WS': Family('gn+ws/faster_rcnn_r50_fpn_gn_ws-all_1x_coco.py'),
    'Version 1': Family('legacy_1.x/faster_rcnn_r50_fpn_1x_coco_v1.py'),
    'Faster R-CNN C4': Family('pascal_voc/faster_rcnn_r50_caffe_c4_mstrain_18k_voc0712.py', wide=True),
    'Faster R-CNN VGG-16': Family('faster_rcnn_vgg16/faster_rcnn_vgg16_coco.py', wide=True),
    'DetectoRS': Family('detectors/detectors_cascade_rcnn_r50_1x_coco.py', wide=True),
    'LAD': Family('lad/lad_r50_paa_r101_fpn_coco_1x.py'),
    'LD': Family('ld/ld_r18_gflv1_r101_fpn_coco_1x.py'),
    'CornerNet': Family('cornernet/cornernet_hourglass104_mstest_8x6_210e_coco.py', wide=True),
    'CentripetalNet': Family('centripetalnet/centripetalnet_hourglass104_mstest_16x6_210e_coco.py', wide=True),
    'Fast R-CNN': Family('fast_rcnn/fast_rcnn_r50_fpn_1x_coco.py'),
    'Panoptic FPN': Family('panoptic_fpn/panoptic_fpn_r50_fpn_1x_coco.py'),
    'TridentNet': Family('tridentnet/tridentnet_r50_caffe_1x_coco.py', wide=True),
}

# folders of configs/ without a detector of their own, and why
OTHER_PACKAGE = 'the detectors of other folders, with a backbone of another package, which is not installed here'
SAME_DETECTORS = {
    'albu_example': OTHER_TRAINING,
    'cityscapes': OTHER_DATA,
    'convnext': OTHER_PACKAGE,
    'custom': OTHER_DATA,
    'deepfashion': OTHER_DATA,
    'demo': OTHER_DATA,
    'instaboost': OTHER_TRAINING,
    'lvis': OTHER_DATA,
    'objects365': OTHER_DATA,
    'openimages': OTHER_DATA,
    'resnet_strikes_back': OTHER_TRAINING,
    'scratch': OTHER_TRAINING,
    'selfsup_pretrain': OTHER_TRAINING,
    'simple_copy_paste': OTHER_TRAINING,
    'strong_baselines': OTHER_TRAINING,
    'timm_example': OTHER_PACKAGE,
    'wider_face': OTHER_DATA,
}
