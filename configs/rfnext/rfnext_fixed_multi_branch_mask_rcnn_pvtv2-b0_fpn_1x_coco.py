_base_ = [
    '../_base_/models/mask_rcnn_r50_fpn.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py'
]
model = dict(
    backbone=dict(
        _delete_=True,
        type='PyramidVisionTransformerV2',
        embed_dims=32,
        num_layers=[2, 2, 2, 2],
        init_cfg=dict(
            checkpoint='https://github.com/whai362/PVT/releases/download/v2/pvt_v2_b0.pth')),
    neck=dict(in_channels=[32, 64, 160, 256]))
optimizer = dict(_delete_=True, type='AdamW', lr=0.0002, weight_decay=0.0001)
# rfstructure_file is not in the tree: a training by the config of the same model with rfnext_search_
# in its name writes such files to its work folder, this one last: the dilation of each convolution,
# {"structure": {"module.backbone.layer2.0.conv2": [1, 2], ...}}, rows before columns
custom_hooks = [
    dict(
        type='RFSearchHook',
        mode='fixed_multi_branch',
        rfstructure_file='./configs/rfnext/search_log/mask_rcnn_pvtv2-b0_fpn_1x_coco/local_search_config_step10.json',
        verbose=True,
        by_epoch=True,
        config=dict(
            search=dict(
                step=0,
                max_step=11,
                search_interval=1,
                exp_rate=0.5,
                init_alphas=0.01,
                mmin=1,
                mmax=24,
                num_branches=2,
                skip_layer=[])))
]
