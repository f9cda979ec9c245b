"""Small helpers of backbones: where weights come from, what is frozen, and trading time for memory."""

import logging
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmdet.utils.checkpoints.checkpoint import LoadReport, load_state_dict, read_checkpoint
from mmdet.utils.logger import get_root_logger


def resolve_init_cfg(
    init_cfg: dict | list[dict] | None, pretrained: str | None, default: dict | list[dict] | None = None
) -> dict | list[dict] | None:
    """The ``init_cfg`` of a module that also knows the older argument ``pretrained``.

    Args:
        init_cfg: what the config says about initial values.
        pretrained: path or URL of a checkpoint; deprecated in favour of ``init_cfg``.
        default: used where both are None.

    Raises:
        ValueError: both are given.
        TypeError: ``pretrained`` is not a text, or ``init_cfg`` neither a config nor a list of such.
    """
    entries = [init_cfg] if isinstance(init_cfg, dict) else init_cfg or []
    if not all(isinstance(entry, dict) for entry in entries):
        raise TypeError(
            f"init_cfg: expected dict(type='Pretrained', checkpoint=...), another dict(type=...) or a list of such, "
            f'got {init_cfg!r}'
        )
    if pretrained is None:
        return default if init_cfg is None else init_cfg
    if init_cfg:
        raise ValueError('init_cfg and pretrained both say where the weights come from; keep init_cfg')
    if not isinstance(pretrained, str):
        raise TypeError(f'pretrained: expected a path, a URL or None, got {type(pretrained).__name__}')
    warnings.warn(
        "pretrained is deprecated; use init_cfg=dict(type='Pretrained', checkpoint=...)", UserWarning, stacklevel=3
    )
    return dict(type='Pretrained', checkpoint=pretrained)


def run_block(function: Callable[[Tensor], Tensor], x: Tensor, with_cp: bool) -> Tensor:
    """``function(x)``; with ``with_cp`` its activations are recomputed in the backward pass instead of kept."""
    if with_cp and torch.is_grad_enabled():
        return checkpoint(function, x, use_reentrant=False)
    return function(x)


def freeze(*modules: nn.Module) -> None:
    """Put modules in evaluation mode and take their parameters out of training."""
    for module in modules:
        module.eval()
        for param in module.parameters():
            param.requires_grad = False


def norm_layers_eval(module: nn.Module) -> None:
    """Keep the running statistics of every batch normalisation in ``module`` as they are."""
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.eval()


class PartlyFrozen(nn.Module):
    """A network with parts that do not learn: what ``_freeze_stages`` freezes, batch statistics with ``norm_eval``."""

    norm_eval = False

    def _freeze_stages(self) -> None:
        """Freeze what is not to learn; called whenever the mode changes, as ``train`` would thaw dropout and norms."""

    def train(self, mode: bool = True) -> 'PartlyFrozen':
        """Training mode, except for what is frozen and, with ``norm_eval``, batch statistics."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            norm_layers_eval(self)
        return self


def pretrained_path(init_cfg: dict | list[dict] | None) -> str | None:
    """The checkpoint that an ``init_cfg`` names; None where it names none."""
    return init_cfg.get('checkpoint') if isinstance(init_cfg, dict) else None


def load_pretrained(
    module: nn.Module, init_cfg: dict, adapt: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> LoadReport:
    """Load the checkpoint of an ``init_cfg`` into a module whose parameters bear other names than the file's.

    Args:
        module: what to load into.
        init_cfg: ``dict(checkpoint=..., prefix=...)``; with ``prefix`` only that part of the file is used.
        adapt: from the file's names and tensors to the module's.

    Raises:
        FileNotFoundError, ConnectionError: there is no such file.
        ValueError: nothing in the file begins with ``prefix``, or nothing fits the module.
    """
    path, prefix = init_cfg['checkpoint'], init_cfg.get('prefix')
    content = read_checkpoint(path)
    state_dict = next((content[key] for key in ('state_dict', 'model') if key in content), content)
    if prefix is not None:
        start = prefix.rstrip('.') + '.'
        state_dict = {name[len(start) :]: value for name, value in state_dict.items() if name.startswith(start)}
        if not state_dict:
            raise ValueError(f'{path}: no tensor begins with the prefix {start!r}')
    report = load_state_dict(module, adapt(state_dict))
    if not report.loaded:
        raise ValueError(f'{path}: no tensor fits {type(module).__name__}: {report.text(path)}')
    get_root_logger().log(logging.INFO if report.exact else logging.WARNING, report.text(path))
    return report


def init_transformer_layers(module: nn.Module) -> None:
    """Truncated normal values for linear layers, ones for layer norms, and zeros for the biases of both."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
        elif isinstance(layer, nn.LayerNorm):
            nn.init.ones_(layer.weight)
        if isinstance(layer, (nn.Linear, nn.LayerNorm)) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
