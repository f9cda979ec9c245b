"""Names and layouts of published transformer checkpoints, brought to those of this package's backbones."""

from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import Tensor


def renamed(name: str, replacements: Iterable[tuple[str, str]]) -> str:
    """``name`` after all replacements of one part by another, in this order."""
    for old, new in replacements:
        name = name.replace(old, new)
    return name


SWIN_NAMES = (
    ('layers.', 'stages.'),
    ('.attn.', '.attn.w_msa.'),
    ('mlp.fc1.', 'ffn.layers.0.0.'),
    ('mlp.fc2.', 'ffn.layers.1.'),
    ('patch_embed.proj.', 'patch_embed.projection.'),
)


def merging_channels_as_unfold(value: Tensor) -> Tensor:
    """The last dimension, ``4 * C``, of a weight of a 2x2 merging layer, reordered.

    The authors' layer concatenates the pixels of a window column by column, each with all its channels;
    ``torch.nn.Unfold`` gives for each channel the pixels row by row.
    """
    by_pixel = value.reshape(*value.shape[:-1], 4, -1)[..., [0, 2, 1, 3], :]
    return by_pixel.transpose(-1, -2).reshape(value.shape)


def swin_converter(ckpt: dict[str, Tensor]) -> 'OrderedDict[str, Tensor]':
    """Weights of the authors' Swin transformer, for a detector with a ``SwinTransformer`` as ``backbone``.

    The classifier and what is worked out from the size of the images are left out.
    """
    converted = OrderedDict()
    for name, value in ckpt.items():
        if name.startswith('head') or name.endswith('attn_mask'):
            continue
        if 'downsample' in name:
            value = merging_channels_as_unfold(value)
        converted['backbone.' + renamed(name, SWIN_NAMES)] = value
    return converted


def pvt_convert(ckpt: dict[str, Tensor]) -> 'OrderedDict[str, Tensor]':
    """Weights of the authors' pyramid vision transformer, version 1 or 2, for our classes of that name.

    The classifier is left out, and the class token's entry of the last position embedding.
    """
    second = any('dwconv' in name for name in ckpt)
    converted = OrderedDict()
    for name, value in ckpt.items():
        if name.startswith(('head', 'cls_token', 'norm.')) or '.attn.q.' in name:
            continue
        if name.startswith('pos_embed4'):
            value = value[:, 1:]
        elif '.attn.kv.' in name:
            # torch's layer has one projection for queries, keys and values
            value = torch.cat((ckpt[name.replace('.attn.kv.', '.attn.q.')], value))
        elif 'mlp.fc' in name and value.dim() == 2:
            # ours are 1x1 convolutions
            value = value[..., None, None]
        converted[_pvt_name(name, second)] = value
    return converted


def _pvt_name(name: str, second: bool) -> str:
    """Our name of an entry of the authors' file; ``second``: of version 2."""
    part, _, rest = name.partition('.')
    kind, stage = part[:-1], int(part[-1]) - 1
    rest = renamed(
        rest,
        (
            ('proj.', 'projection.') if kind == 'patch_embed' else ('attn.proj.', 'attn.attn.out_proj.'),
            ('attn.kv.', 'attn.attn.in_proj_'),
            ('mlp.fc1.', 'ffn.layers.0.'),
            ('mlp.dwconv.dwconv.', 'ffn.layers.1.'),
            ('mlp.fc2.', 'ffn.layers.4.' if second else 'ffn.layers.3.'),
        ),
    )
    if kind == 'patch_embed':
        return f'layers.{stage}.0.{rest}'
    if kind == 'pos_embed':
        return f'layers.{stage}.1.0.pos_embed'
    if kind == 'norm':
        return f'layers.{stage}.2.{rest}'
    number, _, rest = rest.partition('.')
    # version 1 has the position embedding in front of a stage's blocks
    return f'layers.{stage}.1.{int(number) + (0 if second else 1)}.{rest}'


CONVNEXT_NAMES = (
    ('.layer_scale', '.gamma'),
    ('.block.0.', '.depthwise_conv.'),
    ('.block.2.', '.norm.'),
    ('.block.3.', '.pointwise_conv1.'),
    ('.block.5.', '.pointwise_conv2.'),
)


def convnext_from_torchvision(ckpt: dict[str, Tensor]) -> 'OrderedDict[str, Tensor]':
    """Weights of torchvision's ConvNeXt for our class of that name; weights with other names stay as they are."""
    converted = OrderedDict()
    for name, value in ckpt.items():
        if name.startswith('features.'):
            # torchvision counts what stands before each stage and the stages through
            _, number, rest = name.split('.', 2)
            kind = 'stages' if int(number) % 2 else 'downsample_layers'
            name = renamed(f'{kind}.{int(number) // 2}.{rest}', CONVNEXT_NAMES)
        converted[name] = value.flatten() if name.endswith('.gamma') else value
    return converted
