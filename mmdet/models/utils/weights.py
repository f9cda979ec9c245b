"""Small helpers of backbones: where weights come from, and trading time for memory."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


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
        TypeError: ``pretrained`` is not a text.
    """
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
