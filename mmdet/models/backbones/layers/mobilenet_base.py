"""What the MobileNets have in common: outputs by number, frozen stages, and weights in torchvision's names."""

from mmcv.cnn import ConvModule
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.utils.weights import PartlyFrozen, freeze, load_pretrained, pretrained_path


class MobileNetBase(PartlyFrozen, BaseModule):
    """A first convolution ``conv1`` and layers behind each other, any of whose outputs may be asked for.

    Args:
        num_stages: how many stages a subclass is going to add.
        num_outputs: how many layers with the ones behind the stages.
        out_indices: outputs of ``forward``.
        frozen_stages: ``conv1`` and this many stages are kept as they are; -1: all are trained.
        norm_eval: batch statistics stay as they are in training.
        init_cfg: initial values.

    Raises:
        ValueError: ``out_indices`` or ``frozen_stages`` out of range.
    """

    def __init__(
        self,
        num_stages: int,
        num_outputs: int,
        out_indices: tuple[int, ...],
        frozen_stages: int,
        norm_eval: bool,
        init_cfg: dict | list[dict] | None,
    ) -> None:
        super().__init__(init_cfg)
        if not out_indices or not set(out_indices) <= set(range(num_outputs)):
            raise ValueError(f'out_indices: expected numbers in [0, {num_outputs}), got {out_indices}')
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(f'frozen_stages: expected a number in [-1, {num_stages}], got {frozen_stages}')
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.layers: list[str] = []

    def _add_output(self, name: str, layer: nn.Module) -> None:
        self.add_module(name, layer)
        self.layers.append(name)

    def _freeze_stages(self) -> None:
        """Keep the first convolution and the first ``frozen_stages`` stages as they are; -1: none."""
        if self.frozen_stages >= 0:
            freeze(self.conv1, *(getattr(self, name) for name in self.layers[: self.frozen_stages]))

    def init_weights(self) -> None:
        """Load the checkpoint of ``init_cfg``, in our names or torchvision's, or draw initial values."""
        if pretrained_path(self.init_cfg) is None:
            super().init_weights()
        else:
            load_pretrained(self, self.init_cfg, self._adapt)
            self._is_init = True

    def _adapt(self, state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a checkpoint under this module's names."""
        if not any(name.startswith('features.') for name in state_dict):
            return state_dict
        second = any('.conv.' in name for name in state_dict)
        names = torchvision_names(self, second)
        adapted = {}
        for name, value in state_dict.items():
            module, _, tensor = name.rpartition('.')
            # the classifier keeps its name, and is reported as unexpected
            adapted[f'{names.get(module, module)}.{tensor}'] = value
        return adapted

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images ``(N, 3, H, W)`` to the outputs in ``out_indices``."""
        x = self.conv1(x)
        outs = []
        for i, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)


def torchvision_names(net: MobileNetBase, second: bool) -> dict[str, str]:
    """torchvision's name of each module with weights, and ours.

    torchvision numbers the first convolution, the blocks and the last convolution through as ``features.N``.

    Args:
        net: a MobileNet of version 2 or 3.
        second: names of version 2; else of version 3.
    """
    names = {'features.0.0': 'conv1.conv', 'features.0.1': 'conv1.bn'}
    number = 1
    for layer in net.layers:
        module = getattr(net, layer)
        if isinstance(module, ConvModule):
            names |= {f'features.{number}.0': f'{layer}.conv', f'features.{number}.1': f'{layer}.bn'}
            continue
        for i, block in enumerate(module):
            names |= _block_names(block, f'features.{number}.{"conv" if second else "block"}', f'{layer}.{i}', second)
            number += 1
    return names


def _block_names(block: nn.Module, theirs: str, ours: str, second: bool) -> dict[str, str]:
    """The same for one block, whose parts torchvision numbers too."""
    present = dict(block.named_children())
    parts = [name for name in ('expand_conv', 'depthwise_conv', 'se', 'linear_conv') if name in present]
    names = {}
    for i, part in enumerate(parts):
        if part == 'se':
            names |= {f'{theirs}.{i}.fc{k}': f'{ours}.se.conv{k}.conv' for k in (1, 2)}
        elif part == 'linear_conv' and second:
            # the last convolution of version 2 and its norm are not in a part of their own
            names |= {f'{theirs}.{i}': f'{ours}.{part}.conv', f'{theirs}.{i + 1}': f'{ours}.{part}.bn'}
        else:
            names |= {f'{theirs}.{i}.0': f'{ours}.{part}.conv', f'{theirs}.{i}.1': f'{ours}.{part}.bn'}
    return names
