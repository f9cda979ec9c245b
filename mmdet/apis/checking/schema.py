"""The keys of a config that something reads."""

# of the whole config; `custom_keys` names further ones that the user's own code reads
TOP_KEYS = frozenset(
    (
        *('model', 'train_cfg', 'test_cfg', 'data', 'optimizer', 'optimizer_config', 'lr_config'),
        *('momentum_config', 'runner', 'total_epochs', 'workflow', 'evaluation', 'checkpoint_config'),
        *('log_config', 'log_level', 'custom_hooks', 'custom_imports', 'custom_keys', 'load_from'),
        *('resume_from', 'auto_resume', 'work_dir', 'seed', 'device', 'gpu_ids', 'fp16', 'auto_scale_lr'),
        *('dist_params', 'cudnn_benchmark', 'find_unused_parameters', 'opencv_num_threads'),
        *('mp_start_method', 'audit', 'trust_checkpoint', 'per_source_log', 'on_nonfinite', 'stages'),
        *('data_root', 'min_loaded_fraction', 'report', 'plugin', 'plugin_dir'),
    )
)
# helpers that the files in configs/_base_ define for others to refer to; nothing reads them by themselves, and they
# are in each config that derives from one of those or was written by a run
HELPER_KEYS = frozenset(
    (
        *('dataset_type', 'img_norm_cfg', 'train_pipeline', 'test_pipeline', 'val_pipeline', 'classes'),
        *('norm_cfg', 'min_values', 'checkpoint', 'num_stages', 'num_proposals', 'rpn_weight', 'input_size'),
        *('image_size', 'img_size', 'max_epochs', 'num_last_epochs', 'interval'),
    )
)

DATA_KEYS = (
    *('train', 'val', 'test', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'samples_per_gpu'),
    *('workers_per_gpu', 'persistent_workers', 'pin_memory', 'source_ratio', 'repeat_factors', 'imgs_per_gpu'),
)
LOG_KEYS = ('interval', 'hooks')
# mmcv's checkpoint hook hands its other arguments to the runner's `save_checkpoint`
SAVE_KEYS = ('type', 'filename_tmpl', 'create_symlink', 'meta')
AUTO_SCALE_KEYS = ('enable', 'base_batch_size')
IMPORT_KEYS = ('imports', 'allow_failed_imports')
PARAMWISE_KEYS = {
    'DefaultOptimizerConstructor': (
        *('custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'dwconv_decay_mult'),
        *('dcn_offset_lr_mult', 'bypass_duplicate'),
    ),
    'LearningRateDecayOptimizerConstructor': ('num_layers', 'decay_rate', 'decay_type'),
    'LayerDecayOptimizerConstructor': ('num_layers', 'decay_rate', 'decay_type'),
}
CUSTOM_GROUP_KEYS = ('lr_mult', 'decay_mult')

SECTIONS = ('rpn', 'rpn_proposal', 'rcnn', 'domain', 'panoptic')
_TARGETS = ('assigner', 'sampler', 'pos_weight', 'debug')
_ANCHORS = (*_TARGETS, 'allowed_border', 'ga_assigner', 'ga_sampler', 'center_ratio', 'ignore_ratio')
_KEPT = ('nms_pre', 'nms_post', 'max_per_img', 'nms', 'min_bbox_size', 'min_score', 'nms_across_levels')
# what heads read of `train_cfg` and `test_cfg`; old names are read too, and say so
TRAIN_KEYS = {
    'dense': (
        *(*_ANCHORS, 'smoothl1_beta', 'neg_pos_ratio', 'isr', 'carl', 'domain', 'init', 'refine', 'reg_assigner'),
        *('initial_epoch', 'initial_assigner', 'alpha', 'beta'),
        *('num_points', 'oversample_ratio', 'importance_sample_ratio'),
    ),
    'rpn': _ANCHORS,
    'rpn_proposal': (*_KEPT, 'max_num', 'nms_thr'),
    'rcnn': (
        *(*_TARGETS, 'mask_size', 'dynamic_rcnn', 'isr', 'carl', 'pos_radius', 'max_num_grid'),
        *('num_points', 'oversample_ratio', 'importance_sample_ratio', 'mask_thr_binary'),
    ),
}
_DETECTIONS = ('score_thr', 'nms', 'max_per_img', 'mask_thr_binary')
TEST_KEYS = {
    'dense': (
        *(*_DETECTIONS, 'nms_pre', 'min_bbox_size', 'conf_thr', 'iou_thr', 'top_k', 'score_voting', 'nms_cfg'),
        *('topk', 'local_maximum_kernel', 'corner_topk', 'distance_threshold'),
        *('mask_thr', 'filter_thr', 'kernel', 'sigma', 'update_thr'),
        *('max_per_image', 'panoptic_on', 'semantic_on', 'instance_on', 'object_mask_thr', 'filter_low_score'),
    ),
    'rpn': (*_KEPT, 'max_num', 'nms_thr'),
    'rcnn': (
        *(*_DETECTIONS, 'subdivision_steps', 'subdivision_num_points', 'scale_factor', 'keypoint_score'),
        'mask_pasting',
    ),
    'panoptic': (*_DETECTIONS, 'mask_overlap', 'stuff_area_limit'),
}
# dicts inside of those
INNER_KEYS = {
    'dynamic_rcnn': ('iou_topk', 'beta_topk', 'update_iter_interval', 'initial_iou', 'initial_beta'),
    'isr': ('k', 'bias'),
    'carl': ('k', 'bias'),
}
