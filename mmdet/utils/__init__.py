"""Logging, environment, checkpoints and parallel wrappers: what knows nothing of detection."""

from .ascend_util import batch_images_to_levels, get_max_num_gt_division_factor, masked_fill
from .atomic_write import atomic_write
from .checkpoint import load_checkpoint, save_checkpoint
from .collect_env import collect_env
from .compat_config import compat_cfg
from .logger import get_caller_name, get_root_logger, log_img_scale, quiet_third_party
from .memory import AvoidCUDAOOM, AvoidOOM
from .misc import find_latest_checkpoint, update_data_root
from .replace_cfg_vals import replace_cfg_vals
from .rfnext import rfnext_init_model
from .setup_env import setup_multi_processes
from .split_batch import split_batch
from .util_distribution import build_ddp, build_dp, get_device

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
