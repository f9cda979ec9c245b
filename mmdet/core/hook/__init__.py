"""Hooks that a runner calls during training; importing this package registers them."""

from .amp_hook import AmpOptimizerHook, GradientCumulativeAmpOptimizerHook
from .checkloss_hook import CheckInvalidLossHook
from .ema import ExpMomentumEMAHook, LinearMomentumEMAHook
from .embedding_projection_hook import EmbeddingProjectionHook
from .feature_map_hook import FeatureMapHook
from .freeze_hook import FreezeHook
from .memory_profiler_hook import MemoryProfilerHook
from .resumable_checkpoint_hook import ResumableCheckpointHook
from .schedule_value_hook import ScheduleValueHook
from .set_epoch_info_hook import SetEpochInfoHook
from .set_iter_hook import SetIterHook
from .set_progress_hook import SetProgressHook
from .source_charts_hook import SourceChartsHook
from .sync_norm_hook import SyncNormHook
from .sync_random_size_hook import SyncRandomSizeHook
from .timing_hook import DataShareHook
from .wandblogger_hook import MMDetWandbHook
from .yolox_lrupdater_hook import YOLOXLrUpdaterHook
from .yolox_mode_switch_hook import YOLOXModeSwitchHook

__all__ = [
    'AmpOptimizerHook',
    'CheckInvalidLossHook',
    'DataShareHook',
    'EmbeddingProjectionHook',
    'ExpMomentumEMAHook',
    'FeatureMapHook',
    'FreezeHook',
    'GradientCumulativeAmpOptimizerHook',
    'LinearMomentumEMAHook',
    'MMDetWandbHook',
    'MemoryProfilerHook',
    'ResumableCheckpointHook',
    'ScheduleValueHook',
    'SetEpochInfoHook',
    'SetIterHook',
    'SetProgressHook',
    'SourceChartsHook',
    'SyncNormHook',
    'SyncRandomSizeHook',
    'YOLOXLrUpdaterHook',
    'YOLOXModeSwitchHook',
]
