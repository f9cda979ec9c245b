"""Logging, environment, checkpoints and parallel wrappers: what knows nothing of detection."""

from mmdet.utils.ascend_util import batch_images_to_levels, get_max_num_gt_division_factor, masked_fill
from mmdet.utils.atomic_write import atomic_write
from mmdet.utils.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from mmdet.utils.collect_env import collect_env
from mmdet.utils.compat_config import compat_cfg
from mmdet.utils.logger import get_caller_name, get_root_logger, log_img_scale, quiet_third_party
from mmdet.utils.memory import AvoidCUDAOOM, AvoidOOM
from mmdet.utils.misc import find_latest_checkpoint, update_data_root
from mmdet.utils.replace_cfg_vals import replace_cfg_vals
from mmdet.utils.rfnext import rfnext_init_model
from mmdet.utils.setup_env import setup_multi_processes
from mmdet.utils.split_batch import split_batch
from mmdet.utils.util_distribution import build_ddp, build_dp, get_device

quiet_third_party()

__all__ = [
    'AvoidCUDAOOM',
    'AvoidOOM',
    'atomic_write',
    'batch_images_to_levels',
    'build_ddp',
    'build_dp',
    'collect_env',
    'compat_cfg',
    'find_latest_checkpoint',
    'get_caller_name',
    'get_device',
    'get_max_num_gt_division_factor',
    'get_root_logger',
    'load_checkpoint',
    'log_img_scale',
    'masked_fill',
    'replace_cfg_vals',
    'rfnext_init_model',
    'save_checkpoint',
    'setup_multi_processes',
    'split_batch',
    'update_data_root',
]
