"""Batch normalisation over all processes, under the name of mmcv's own operator for it."""

from typing import Any

from mmcv.cnn.bricks.registry import NORM_LAYERS
from torch import nn

from mmdet.ops.compiled import register_layer

STATS_MODES = ('default', 'N')


class MMSyncBN(nn.SyncBatchNorm):
    """Batch normalisation whose statistics in training are those of the values of all processes.

    A process may have no values at all, as where no RoI was sampled.

    Args:
        num_features: channels.
        eps, momentum, affine, track_running_stats: as of ``torch.nn.SyncBatchNorm``.
        group: its ``process_group``.
        stats_mode: accepted as mmcv's layer has it: 'default' there gives each process the same weight, 'N' each
            value. Here each value has the same weight, which is the same for equal numbers of values. Default:
            'default'.
        kwargs: further arguments of ``torch.nn.SyncBatchNorm``.

    Raises:
        ValueError: another ``stats_mode``.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        group: Any = None,
        stats_mode: str = 'default',
        **kwargs: Any,
    ) -> None:
        if stats_mode not in STATS_MODES:
            raise ValueError(f'stats_mode: expected one of {STATS_MODES}, got {stats_mode!r}')
        super().__init__(num_features, eps, momentum, affine, track_running_stats, process_group=group, **kwargs)


register_layer(NORM_LAYERS, 'MMSyncBN', MMSyncBN)
