"""Layers that configs put into other layers."""

from mmdet.models.plugins.dropblock import DropBlock

__all__ = ['DropBlock']
