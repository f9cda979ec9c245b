"""Networks between a backbone and the heads."""

from mmdet.models.necks.bfp import BFP
from mmdet.models.necks.channel_mapper import ChannelMapper
from mmdet.models.necks.fpn import FPN
from mmdet.models.necks.hrfpn import HRFPN
from mmdet.models.necks.pafpn import PAFPN

__all__ = ['BFP', 'ChannelMapper', 'FPN', 'HRFPN', 'PAFPN']
