_base_ = 'faster_rcnn_r50_fpn_32x2_1x_openimages.py'
dataset_type = 'OpenImagesChallengeDataset'
model = dict(
    roi_head=dict(bbox_head=dict(num_classes=500)),
    test_cfg=dict(rcnn=dict(score_thr=0.01)))
data = dict(
    train=dict(
        type='OpenImagesChallengeDataset',
        ann_file='data/OpenImages/challenge2019/challenge-2019-train-detection-bbox.txt',
        img_prefix='data/OpenImages/OpenImages/',
        label_file='data/OpenImages/challenge2019/cls-label-description.csv',
        hierarchy_file='data/OpenImages/challenge2019/class_label_tree.np'),
    val=dict(
        type='OpenImagesChallengeDataset',
        ann_file='data/OpenImages/challenge2019/challenge-2019-validation-detection-bbox.txt',
        img_prefix='data/OpenImages/OpenImages/',
        label_file='data/OpenImages/challenge2019/cls-label-description.csv',
        hierarchy_file='data/OpenImages/challenge2019/class_label_tree.np',
        meta_file='data/OpenImages/challenge2019/challenge-2019-validation-metas.pkl',
        image_level_ann_file='data/OpenImages/challenge2019/challenge-2019-validation-detection-human-imagelabels.csv'),
    test=dict(
        type='OpenImagesChallengeDataset',
        ann_file='data/OpenImages/challenge2019/challenge-2019-validation-detection-bbox.txt',
        img_prefix='data/OpenImages/OpenImages/',
        label_file='data/OpenImages/challenge2019/cls-label-description.csv',
        hierarchy_file='data/OpenImages/challenge2019/class_label_tree.np',
        meta_file='data/OpenImages/challenge2019/challenge-2019-validation-metas.pkl',
        image_level_ann_file='data/OpenImages/challenge2019/challenge-2019-validation-detection-human-imagelabels.csv'))
