"""Containers that travel between the parts of a detector."""

from mmdet.core.data_structures.general_data import GeneralData
from mmdet.core.data_structures.instance_data import InstanceData

__all__ = ['GeneralData', 'InstanceData']
