"""A pyramid vision transformer with the parameter names of the authors' files, written plainly from the papers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS, HEADS, RATIOS = (4, 8, 8, 8), (1, 2, 2, 2), (4, 2, 2, 1)


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.heads, self.ratio = heads, ratio
        self.q, self.kv, self.proj = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        if ratio > 1:
            self.sr, self.norm = nn.Conv2d(dim, dim, ratio, ratio), nn.LayerNorm(dim)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        count, length, dim = x.shape
        query = self.q(x).view(count, length, self.heads, -1).transpose(1, 2)
        if self.ratio > 1:
            x = self.norm(self.sr(x.transpose(1, 2).view(count, dim, height, width)).flatten(2).transpose(1, 2))
        key, value = self.kv(x).view(count, x.size(1), 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(-2, -1) / (dim // self.heads) ** 0.5).softmax(-1)
        return self.proj((weights @ value).transpose(1, 2).reshape(count, length, dim))


class Positions(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)


class Mlp(nn.Module):
    def __init__(self, dim: int, hidden: int, second: bool) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        if second:
            self.dwconv = Positions(hidden)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = self.fc1(x)
        if hasattr(self, 'dwconv'):
            x = x.transpose(1, 2).view(len(x), -1, height, width)
            x = self.dwconv.dwconv(x).flatten(2).transpose(1, 2)
        return self.fc2(F.gelu(x))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int, ratio: int, second: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn, self.mlp = Attention(dim, heads, ratio), Mlp(dim, 2 * dim, second)
        if ratio > 1:
            self.attn.norm.eps = 1e-6

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = x + self.attn(self.norm1(x), height, width)
        return x + self.mlp(self.norm2(x), height, width)


class PatchEmbed(nn.Module):
    def __init__(self, narrow: int, wide: int, size: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(narrow, wide, size, stride, padding=size // 2 if size > stride else 0)
        self.norm = nn.LayerNorm(wide, eps=1e-6)


class AuthorsPVT(nn.Module):
    """Two blocks in the first stage and one in each other; images of 64 px."""

    def __init__(self, second: bool) -> None:
        super().__init__()
        self.second = second
        sizes = (7, 3, 3, 3) if second else (4, 2, 2, 2)
        for i in range(4):
            narrow = 3 if i == 0 else WIDTHS[i - 1]
            self.add_module(f'patch_embed{i + 1}', PatchEmbed(narrow, WIDTHS[i], sizes[i], 4 if i == 0 else 2))
            blocks = [Block(WIDTHS[i], HEADS[i], RATIOS[i], second) for _ in range(2 if i == 0 else 1)]
            self.add_module(f'block{i + 1}', nn.ModuleList(blocks))
            if second:
                self.add_module(f'norm{i + 1}', nn.LayerNorm(WIDTHS[i], eps=1e-6))
            else:
                patches = (16 // 2**i) ** 2 + (i == 3)
                self.register_parameter(f'pos_embed{i + 1}', nn.Parameter(torch.randn(1, patches, WIDTHS[i])))
        if not second:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTHS[3]))
            self.norm = nn.LayerNorm(WIDTHS[3])
        self.head = nn.Linear(WIDTHS[3], 10)

    def forward(self, x: Tensor) -> list[Tensor]:
        outs = []
        for i in range(1, 5):
            embed = getattr(self, f'patch_embed{i}')
            x = embed.proj(x)
            size = x.shape[-2:]
            x = embed.norm(x.flatten(2).transpose(1, 2))
            if not self.second:
                x = x + getattr(self, f'pos_embed{i}')[:, 1 if i == 4 else 0 :]
            for block in getattr(self, f'block{i}'):
                x = block(x, *size)
            if self.second:
                x = getattr(self, f'norm{i}')(x)
            x = x.transpose(1, 2).reshape(len(x), -1, *size)
            outs.append(x)
        return outs
