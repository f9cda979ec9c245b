"""The former place of :func:`mmdet.models.base_head.loss_of_rows`, which users' heads import from here."""

from mmdet.models.base_head import loss_of_rows

__all__ = ['loss_of_rows']
