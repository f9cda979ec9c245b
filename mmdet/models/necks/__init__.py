"""Networks between a backbone and the heads."""

from mmdet.models.necks.bfp import BFP
from mmdet.models.necks.channel_mapper import ChannelMapper
from mmdet.models.necks.fpg import FPG
from mmdet.models.necks.fpn import FPN
from mmdet.models.necks.fpn_carafe import FPN_CARAFE
from mmdet.models.necks.hrfpn import HRFPN
from mmdet.models.necks.nas_fpn import NASFPN
from mmdet.models.necks.pafpn import PAFPN
from mmdet.models.necks.rfp import RFP
from mmdet.models.necks.ssd_neck import SSDNeck

__all__ = ['BFP', 'ChannelMapper', 'FPG', 'FPN', 'FPN_CARAFE', 'HRFPN', 'NASFPN', 'PAFPN', 'RFP', 'SSDNeck']
