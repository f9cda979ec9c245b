"""Autocast on the simulated device: torch's lists of operators for CUDA, as far as vision models call them."""

from collections.abc import Callable
from typing import Any

import torch
from sim_tensor import NAME, SimTensor, operands_of

HALF = [
    'conv1d', 'conv2d', 'conv2d.padding', 'conv3d', 'conv_transpose1d', 'conv_transpose2d.input',
    'conv_transpose3d.input', 'convolution', 'prelu', 'addmm', 'addmv', 'addr', 'matmul', 'einsum', 'mm', 'mv',
    'linear', 'addbmm', 'baddbmm', 'bmm', 'chain_matmul', 'linalg_multi_dot', 'scaled_dot_product_attention',
]  # fmt: skip
FLOAT32 = [
    'acos', 'asin', 'cosh', 'erfinv', 'exp', 'expm1', 'log', 'log10', 'log2', 'log1p', 'reciprocal', 'rsqrt',
    'sinh', 'tan', 'pow.Tensor_Scalar', 'pow.Tensor_Tensor', 'pow.Scalar', 'softplus', 'layer_norm',
    'native_layer_norm', 'group_norm', 'cosine_similarity', 'nll_loss', 'nll_loss2d', 'kl_div', 'l1_loss',
    'smooth_l1_loss', 'huber_loss', 'mse_loss', 'binary_cross_entropy_with_logits', 'cdist', 'logsumexp',
    'softmax.int', 'log_softmax.int', 'cumsum', 'cumprod', 'sum', 'sum.dim_IntList', 'prod', 'prod.dim_int',
    'norm.Scalar', 'norm.ScalarOpt_dim', 'linalg_vector_norm', 'margin_ranking_loss',
]  # fmt: skip
WIDEST = [
    'addcdiv', 'addcmul', 'atan2', 'bilinear', 'cross', 'dot', 'grid_sampler', 'index_put', 'tensordot',
    'scatter_add', 'cat', 'stack', 'vdot',
]  # fmt: skip
_libraries: list[torch.library.Library] = []


def kernel(func: Any, rule: str) -> Callable:
    """``func`` with its arguments cast first: to 'half', to 'float32', or to the 'widest' type among them."""
    key = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def call(*args: Any, **kwargs: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(key):
            operands = operands_of(args, kwargs)
            wide = any(t.dtype == torch.float32 for t in operands)
            full = rule == 'float32' or (rule == 'widest' and wide)
            dtype = torch.float32 if full else torch.get_autocast_dtype(NAME)

            def cast(value: Any) -> Any:
                if isinstance(value, (list, tuple)):
                    return type(value)(cast(v) for v in value)
                floating = isinstance(value, SimTensor) and value.dtype.is_floating_point
                return value.to(dtype) if floating and value.dtype not in (dtype, torch.float64) else value

            return func(*map(cast, args), **{key: cast(value) for key, value in kwargs.items()})

    return call


def refuse_binary_cross_entropy(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError('torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.')


def _register() -> None:
    rest, aten = (torch.library.Library(name, 'IMPL') for name in ('_', 'aten'))
    rest.fallback(torch.library.fallthrough_kernel, 'AutocastPrivateUse1')
    for rule, names in (('half', HALF), ('float32', FLOAT32), ('widest', WIDEST)):
        for name in names:
            packet, _, overload = name.partition('.')
            func = getattr(getattr(torch.ops.aten, packet), overload or 'default')
            aten.impl(name, kernel(func, rule), 'AutocastPrivateUse1')
    aten.impl('binary_cross_entropy', refuse_binary_cross_entropy, 'AutocastPrivateUse1')
    _libraries.extend([rest, aten])


_register()
