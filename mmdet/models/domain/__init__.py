"""Domain adaptation: classifiers that tell domains apart, and features that are trained to make them fail."""

from .adaptation import DomainAdaptation
from .domain_heads import ImageDomainHead, InstanceDomainHead

__all__ = ['DomainAdaptation', 'ImageDomainHead', 'InstanceDomainHead']
