"""A detection toolbox with the public face of mmdetection 2.x and per-image control of what each head learns."""

from mmdet._environment import MMCV_RANGE, digit_version, require_mmcv
from mmdet._optional_import import install as _install_stand_ins
from mmdet.version import __version__, short_version, version_info

mmcv_version = require_mmcv()
# the first version that is taken, and the first that is not any more
mmcv_minimum_version, mmcv_maximum_version = ('.'.join(map(str, bound)) for bound in MMCV_RANGE)
_install_stand_ins()

__all__ = ['__version__', 'short_version', 'version_info', 'digit_version']
