_base_ = '../res2net/cascade_mask_rcnn_r2_101_fpn_20e_coco.py'
# rfstructure_file is not in the tree: a training by the config of the same model with rfnext_search_
# in its name writes such files to its work folder, this one last: the dilation of each convolution,
# {"structure": {"module.backbone.layer2.0.conv2": [1, 2], ...}}, rows before columns
custom_hooks = [
    dict(type='NumClassCheckHook'),
    dict(
        type='RFSearchHook',
        mode='fixed_multi_branch',
        rfstructure_file='./configs/rfnext/search_log/cascade_mask_rcnn_r2_101_fpn_20e_coco/local_search_config_step11.json',
        verbose=True,
        by_epoch=True,
        config=dict(
            search=dict(
                step=0,
                max_step=12,
                search_interval=1,
                exp_rate=0.5,
                init_alphas=0.01,
                mmin=1,
                mmax=24,
                num_branches=2,
                skip_layer=['stem', 'layer1'])))
]
