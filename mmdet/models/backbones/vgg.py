"""VGG (https://arxiv.org/abs/1409.1556) as the trunk of the first Faster R-CNN: no batch norm, no fifth pooling."""

from collections.abc import Sequence

from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.models.builder import BACKBONES
from mmdet.models.utils.weights import freeze

WIDTHS = (64, 128, 256, 512, 512)
CONVS_OF_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
TRAINED_ON_IMAGENET = dict(type='Pretrained', checkpoint='torchvision://vgg16')


@BACKBONES.register_module()
class VGG(BaseModule):
    """Five stages of 3x3 convolutions with ReLU and, between two stages, 2x2 max pooling.

    Parameters are named as in torchvision (``features.0.weight``, ...), so that ``torchvision://vgg16`` fits. The fifth
    pooling is left out: the last stage has stride 16.

    Args:
        depth: 11, 13, 16 or 19.
        out_indices: stages whose output ``forward`` gives, in [0, 5): strides 1, 2, 4, 8, 16, before their pooling.
        frozen_stages: this many stages are kept as they are. The published Faster R-CNN trains VGG16 from the third
            stage on: 2. Default: 0.
        width: divides the number of channels, for small experiments. Default: 1.
        init_cfg: initial values. Default: Kaiming for convolutions.

    Raises:
        ValueError: ``depth``, ``out_indices`` or ``frozen_stages`` is not one of these.
    """

    def __init__(
        self,
        depth: int = 16,
        out_indices: Sequence[int] = (4,),
        frozen_stages: int = 0,
        width: int = 1,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        if depth not in CONVS_OF_STAGES:
            raise ValueError(f'depth: expected one of {sorted(CONVS_OF_STAGES)}, got {depth}')
        if not out_indices or not set(out_indices) <= set(range(5)):
            raise ValueError(f'out_indices: expected numbers in [0, 5), got {out_indices}')
        if not 0 <= frozen_stages <= 5:
            raise ValueError(f'frozen_stages: expected a number in [0, 5], got {frozen_stages}')
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.features = nn.Sequential()
        self.stage_ends: list[int] = []  # number of layers up to the last ReLU of each stage
        channels = 3
        for count, widest in zip(CONVS_OF_STAGES[depth], WIDTHS):
            if self.stage_ends:
                self.features.append(nn.MaxPool2d(2, 2))
            for _ in range(count):
                self.features.append(nn.Conv2d(channels, widest // width, 3, padding=1))
                self.features.append(nn.ReLU(inplace=True))
                channels = widest // width
            self.stage_ends.append(len(self.features))
        self._freeze_stages()

    def _freeze_stages(self) -> None:
        if self.frozen_stages:
            freeze(self.features[: self.stage_ends[self.frozen_stages - 1]])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W) -> (N, C, H / stride, W / stride) of each stage in ``out_indices``."""
        outs, start = {}, 0
        for stage, end in enumerate(self.stage_ends):
            x = self.features[start:end](x)
            outs[stage], start = x, end
        return tuple(outs[stage] for stage in self.out_indices)

    def train(self, mode: bool = True) -> 'VGG':
        """Training mode, except for what is frozen."""
        super().train(mode)
        self._freeze_stages()
        return self
