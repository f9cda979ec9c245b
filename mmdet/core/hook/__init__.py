"""Hooks that a runner calls during training; importing this package registers them."""

from mmdet.core.hook.accumulation_hook import GradientCumulativeOptimizerHook
from mmdet.core.hook.amp_hook import AmpOptimizerHook, GradientCumulativeAmpOptimizerHook
from mmdet.core.hook.checkloss_hook import CheckInvalidLossHook
from mmdet.core.hook.diagnostics.embedding_projection_hook import EmbeddingProjectionHook
from mmdet.core.hook.diagnostics.feature_map_hook import FeatureMapHook
from mmdet.core.hook.diagnostics.progress_line_hook import ProgressLineHook
from mmdet.core.hook.diagnostics.source_charts_hook import SourceChartsHook
from mmdet.core.hook.diagnostics.teacher_pictures_hook import TeacherPicturesHook
from mmdet.core.hook.diagnostics.timing_hook import DataTimeHook
from mmdet.core.hook.early_stopping_hook import EarlyStoppingHook
from mmdet.core.hook.ema import EMAHook, ExpMomentumEMAHook, LinearMomentumEMAHook
from mmdet.core.hook.interruption_hook import InterruptionHook
from mmdet.core.hook.memory_profiler_hook import MemoryProfilerHook
from mmdet.core.hook.nonfinite_hook import NonFiniteHook
from mmdet.core.hook.resumable_checkpoint_hook import ResumableCheckpointHook
from mmdet.core.hook.schedules.freeze_hook import FreezeHook
from mmdet.core.hook.schedules.schedule_value_hook import ScheduleValueHook
from mmdet.core.hook.schedules.set_iter_hook import SetIterHook
from mmdet.core.hook.schedules.set_progress_hook import SetProgressHook
from mmdet.core.hook.set_epoch_info_hook import SetEpochInfoHook
from mmdet.core.hook.sync_norm_hook import SyncNormHook
from mmdet.core.hook.sync_random_size_hook import SyncRandomSizeHook
from mmdet.core.hook.text_logger_hook import TextLoggerHook
from mmdet.core.hook.wandblogger_hook import MMDetWandbHook
from mmdet.core.hook.yolox_lrupdater_hook import YOLOXLrUpdaterHook
from mmdet.core.hook.yolox_mode_switch_hook import YOLOXModeSwitchHook

__all__ = [
    'AmpOptimizerHook',
    'CheckInvalidLossHook',
    'DataTimeHook',
    'EMAHook',
    'EarlyStoppingHook',
    'EmbeddingProjectionHook',
    'ExpMomentumEMAHook',
    'FeatureMapHook',
    'FreezeHook',
    'GradientCumulativeAmpOptimizerHook',
    'GradientCumulativeOptimizerHook',
    'InterruptionHook',
    'LinearMomentumEMAHook',
    'MMDetWandbHook',
    'MemoryProfilerHook',
    'NonFiniteHook',
    'ProgressLineHook',
    'ResumableCheckpointHook',
    'ScheduleValueHook',
    'SetEpochInfoHook',
    'SetIterHook',
    'SetProgressHook',
    'SourceChartsHook',
    'SyncNormHook',
    'SyncRandomSizeHook',
    'TeacherPicturesHook',
    'TextLoggerHook',
    'YOLOXLrUpdaterHook',
    'YOLOXModeSwitchHook',
]
