"""Backbones that configs call ``mmcls.NAME``, for use without mmcls (see ``mmdet._optional_import``)."""

from importlib.util import find_spec

from mmcv.cnn import MODELS as MMCV_MODELS

from mmdet.models.backbones.convnext import ConvNeXt
from mmdet.models.backbones.timm_backbone import TIMMBackbone
from mmdet.utils.registry import Registry

__all__ = ['BACKBONES', 'ConvNeXt', 'TIMMBackbone']


class StandInRegistry(Registry):
    """The classes of a package that is not installed.

    Raises:
        KeyError: another class of the package is asked for.
    """

    def get(self, key: str) -> type:
        """The class of that name."""
        found = super().get(key)
        if found is None:
            name = key.split('.')[-1]
            raise KeyError(
                f'{self.scope}.{name}: {self.scope} is not installed, and of its classes mmdet has '
                f'{", ".join(sorted(self.module_dict))} only; pip install {self.scope}'
            )
        return found


def is_installed(package: str) -> bool:
    """Whether a package can be imported that is none of our stand-ins."""
    spec = find_spec(package)
    return spec is not None and spec.loader_state != 'mmdet'


def stand_in_registry() -> Registry | None:
    """The registry of scope ``mmcls``; None where mmcls is installed, which has its own."""
    if is_installed('mmcls'):
        return None
    registry = StandInRegistry('models', parent=MMCV_MODELS, scope='mmcls')
    for backbone in (ConvNeXt, TIMMBackbone):
        registry.register_module(module=backbone)
    return registry


BACKBONES = stand_in_registry()
