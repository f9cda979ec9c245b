"""Domain adaptation: classifiers that tell domains apart, and features that are trained to make them fail."""

from mmdet.models.domain.adaptation import DomainAdaptation
from mmdet.models.domain.domain_heads import ImageDomainHead, InstanceDomainHead

__all__ = ['DomainAdaptation', 'ImageDomainHead', 'InstanceDomainHead']
