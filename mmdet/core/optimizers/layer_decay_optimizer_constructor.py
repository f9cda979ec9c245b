"""Learning rates that fall with a layer's distance from the output."""

from typing import Any

from mmcv.runner import DefaultOptimizerConstructor
from torch import nn

from mmdet.core.optimizers.builder import OPTIMIZER_BUILDERS
from mmdet.utils.logger import get_root_logger

EMBEDDINGS = ('backbone.cls_token', 'backbone.mask_token', 'backbone.pos_embed')
BLOCKS_PER_LAYER = 3  # blocks of ConvNeXt's third stage that share a rate


def get_layer_id_for_convnext(var_name: str, max_layer_id: int) -> int:
    """Layer of a parameter by its name: 0 for the stem, ``max_layer_id + 1`` for all behind the backbone."""
    if var_name in EMBEDDINGS:
        return 0
    parts = var_name.split('.')
    if var_name.startswith('backbone.downsample_layers'):
        return (0, 2, 3, max_layer_id)[int(parts[2])]
    if var_name.startswith('backbone.stages'):
        third = 3 + int(parts[3]) // BLOCKS_PER_LAYER
        return (1, 2, third, max_layer_id)[int(parts[2])]
    return max_layer_id + 1


def get_stage_id_for_convnext(var_name: str, max_stage_id: int) -> int:
    """Stage of a parameter by its name: 0 for stem and down-sampling, ``max_stage_id - 1`` behind the backbone."""
    if var_name in EMBEDDINGS or var_name.startswith('backbone.downsample_layers'):
        return 0
    if var_name.startswith('backbone.stages'):
        return int(var_name.split('.')[2]) + 1
    return max_stage_id - 1


@OPTIMIZER_BUILDERS.register_module()
class LearningRateDecayOptimizerConstructor(DefaultOptimizerConstructor):
    """Gives the layer (or stage) number i of n the learning rate ``lr * decay_rate ** (n - i - 1)``.

    ``paramwise_cfg`` has ``num_layers``, ``decay_rate`` and ``decay_type`` (``'layer_wise'`` or ``'stage_wise'``).
    Biases, normalisation weights and position embeddings get no weight decay.
    """

    def add_params(self, params: list[dict[str, Any]], module: nn.Module, **kwargs: Any) -> None:
        """Append one group for each layer with weight decay and one for each without.

        Raises:
            NotImplementedError: the backbone is no ConvNeXt.
            ValueError: unknown ``decay_type``.
        """
        groups: dict[str, dict[str, Any]] = {}
        num_layers = self.paramwise_cfg['num_layers'] + 2
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            plain = parameter.ndim == 1 or name.endswith('.bias') or name in ('pos_embed', 'cls_token')
            layer = self._layer_of(name, module, num_layers)
            group_name = f'layer_{layer}_{"no_decay" if plain else "decay"}'
            scale = self.paramwise_cfg['decay_rate'] ** (num_layers - layer - 1)
            group = groups.setdefault(
                group_name,
                dict(
                    weight_decay=0.0 if plain else self.base_wd,
                    params=[],
                    param_names=[],
                    lr_scale=scale,
                    group_name=group_name,
                    lr=scale * self.base_lr,
                ),
            )
            group['params'].append(parameter)
            group['param_names'].append(name)
        rates = {key: group['lr'] for key, group in groups.items()}
        get_root_logger().info(f'learning rates of the {len(groups)} parameter groups: {rates}')
        params.extend(groups.values())

    def _layer_of(self, name: str, module: nn.Module, num_layers: int) -> int:
        kind = type(module.backbone).__name__
        if 'ConvNeXt' not in kind:
            raise NotImplementedError(f'{type(self).__name__} knows the layers of ConvNeXt only, not of {kind}')
        decay_type = self.paramwise_cfg.get('decay_type', 'layer_wise')
        if decay_type == 'layer_wise':
            return get_layer_id_for_convnext(name, self.paramwise_cfg['num_layers'])
        if decay_type == 'stage_wise':
            return get_stage_id_for_convnext(name, num_layers)
        raise ValueError(f"decay_type: expected 'layer_wise' or 'stage_wise', got {decay_type!r}")
