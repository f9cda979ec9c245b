"""A detection toolbox with the public face of mmdetection 2.x and per-image control of what each head learns."""

from mmdet._environment import digit_version, require_mmcv
from mmdet._optional_import import install as _install_stand_ins
from mmdet.version import __version__, short_version, version_info

mmcv_version = require_mmcv()
_install_stand_ins()

__all__ = ['__version__', 'short_version', 'version_info', 'digit_version']
