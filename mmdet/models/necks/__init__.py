"""Networks between a backbone and the heads."""

from mmdet.models.necks.bfp import BFP
from mmdet.models.necks.channel_mapper import ChannelMapper
from mmdet.models.necks.ct_resnet_neck import CTResNetNeck
from mmdet.models.necks.dilated_encoder import DilatedEncoder
from mmdet.models.necks.dyhead import DyHead
from mmdet.models.necks.fpg import FPG
from mmdet.models.necks.fpn import FPN
from mmdet.models.necks.fpn_carafe import FPN_CARAFE
from mmdet.models.necks.hrfpn import HRFPN
from mmdet.models.necks.nas_fpn import NASFPN
from mmdet.models.necks.nasfcos_fpn import NASFCOS_FPN
from mmdet.models.necks.pafpn import PAFPN
from mmdet.models.necks.rfp import RFP
from mmdet.models.necks.ssd_neck import SSDNeck
from mmdet.models.necks.yolo_neck import YOLOV3Neck
from mmdet.models.necks.yolox_pafpn import YOLOXPAFPN

__all__ = [
    'BFP',
    'CTResNetNeck',
    'ChannelMapper',
    'DilatedEncoder',
    'DyHead',
    'FPG',
    'FPN',
    'FPN_CARAFE',
    'HRFPN',
    'NASFCOS_FPN',
    'NASFPN',
    'PAFPN',
    'RFP',
    'SSDNeck',
    'YOLOV3Neck',
    'YOLOXPAFPN',
]
