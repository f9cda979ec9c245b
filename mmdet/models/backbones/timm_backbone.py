"""Any model of timm as a backbone."""

from typing import Any

from mmcv.cnn.bricks.registry import NORM_LAYERS
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.builder import BACKBONES
from mmdet.utils.registry import did_you_mean


def require_timm() -> Any:
    """The package timm.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            f'TIMMBackbone needs timm, which cannot be imported ({error}); run: pip install timm'
        ) from error
    return timm


@BACKBONES.register_module()
class TIMMBackbone(BaseModule):
    """A model of timm (https://github.com/huggingface/pytorch-image-models), without its classifier.

    Args:
        model_name: name of the model in timm.
        features_only: give the maps of several stages, those of ``out_indices``, instead of the last one. A detector
            with a neck needs True. Default: False.
        pretrained: let timm download weights; ``init_cfg`` then has no effect. Default: False.
        checkpoint_path: local file of weights, in timm's names. Default: '', none.
        in_channels: channels of the images. Default: 3.
        init_cfg: initial values. Default: None, those of timm.
        kwargs: further arguments of ``timm.create_model``, such as ``out_indices``; ``norm_layer`` may be a name that
            mmcv knows.

    Raises:
        ImportError: timm is not installed.
        KeyError: timm has no such model, or mmcv no such norm.
    """

    def __init__(
        self,
        model_name: str,
        features_only: bool = False,
        pretrained: bool = False,
        checkpoint_path: str = '',
        in_channels: int = 3,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        timm = require_timm()
        if not isinstance(pretrained, bool):
            raise TypeError(f'pretrained: expected True or False, got {pretrained!r}; use checkpoint_path for a file')
        super().__init__(init_cfg)
        # 'hub:...' is an address; names that timm has given up still work
        if ':' not in model_name and not timm.is_model(model_name.split('.')[0]):
            raise KeyError(f'timm has no model {model_name!r}{did_you_mean(model_name, timm.list_models())}')
        if isinstance(kwargs.get('norm_layer'), str):
            kwargs['norm_layer'] = self._norm_layer(kwargs['norm_layer'])
        if features_only:
            kwargs['features_only'] = True
        self.timm_model = timm.create_model(
            model_name, pretrained=pretrained, in_chans=in_channels, checkpoint_path=checkpoint_path, **kwargs
        )
        # a classifier without gradients would keep other processes of a distributed run waiting
        if hasattr(self.timm_model, 'reset_classifier'):
            self.timm_model.reset_classifier(0, '')
        # what timm has loaded is not to be drawn anew
        self._is_init = pretrained or bool(checkpoint_path)

    @staticmethod
    def _norm_layer(name: str) -> type[nn.Module]:
        """The class of a norm that mmcv knows."""
        found = NORM_LAYERS.get(name)
        if found is None:
            raise KeyError(f'norm_layer: mmcv has no norm {name!r}{did_you_mean(name, NORM_LAYERS.module_dict)}')
        return found

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``(N, in_channels, H, W)`` to the model's maps."""
        outs = self.timm_model(x)
        return tuple(outs) if isinstance(outs, (list, tuple)) else (outs,)
