"""Names of metrics are checked against the data set before anything runs."""

import pytest

from mmdet.apis.checking.metrics import check_evaluation
from mmdet.utils.configs.config_error import ConfigError


def coco(**changes):
    return dict(type='CocoDataset', **changes)


@pytest.mark.parametrize(
    ('settings', 'dataset'),
    [
        (dict(metric=['bbox', 'segm'], save_best='segm_mAP_50'), coco()),
        (dict(metric='bbox', save_best='auto'), coco()),
        (dict(metric='proposal', save_best='AR@100'), coco()),
        (dict(metric='bbox', metric_items=['AR@10'], proposal_nums=(10,), save_best='bbox_AR@10'), coco()),
        (dict(metric='mAP', save_best='AP50', iou_thr=[0.5]), dict(type='VOCDataset')),
        (dict(metric='bbox', save_best='bbox_APr'), dict(type='LVISV1Dataset')),
        (dict(metric=['PQ'], save_best='PQ_th', nproc=2, classwise=True), dict(type='CocoPanopticDataset')),
        (dict(metric=['bbox', 'cityscapes'], save_best='AP@50'), dict(type='CityscapesDataset')),
        (dict(metric='keypoints', save_best='keypoints_AR'), dict(type='CocoKeypointDataset')),
        (dict(metric='bbox', save_best='real_bbox_mAP'), dict(type='ConcatDataset', datasets=[coco(), coco()])),
        (dict(save_best='bbox_mAP'), dict(type='RepeatDataset', times=2, dataset=coco())),
        (dict(save_best='bbox_F1', metric_items=['F1'], classwise=True), coco()),
        (dict(save_best='loss_cls_val', loss=True), coco()),
        (dict(score_thr=0.1, metric='segm'), dict(type='OccludedSeparatedCocoDataset')),
    ],
)
def test_right_names_pass(settings, dataset):
    check_evaluation(dict(settings, interval=1), dataset)


@pytest.mark.parametrize(
    ('settings', 'dataset', 'text'),
    [
        (dict(metric='mAP'), coco(), "^evaluation: CocoDataset has no metric 'mAP'.*bbox"),
        (dict(metric=['bbox', 'segn']), coco(), "no metric 'segn'; did you mean 'segm'"),
        (dict(metric='bbox'), dict(type='VOCDataset'), "VOCDataset has no metric 'bbox'. It has: mAP, recall"),
        (dict(save_best='bbox_map50'), coco(), "save_best: the evaluation gives no 'bbox_map50'; .*'bbox_mAP_50'"),
        (dict(save_best='segm_mAP', metric='bbox'), coco(), "save_best: .*'segm_mAP'.*bbox_mAP"),
        (dict(save_best='mAP_50'), dict(type='ConcatDataset', datasets=[coco()]), 'save_best'),
        (dict(metric_items=['map']), coco(), "metric_items: there is no 'map'; did you mean 'mAP'"),
        (dict(save_best='bbox_AP/cat', classwise=True), coco(), "save_best: 'bbox_AP/cat' is of one class"),
        (dict(save_best='loss_val'), coco(), "save_best: the evaluation gives no 'loss_val'"),
        (dict(classwize=True), coco(), "nothing reads 'classwize'; did you mean 'classwise'"),
        (dict(save_bets='auto'), coco(), "nothing reads 'save_bets'; did you mean 'save_best'"),
        (dict(iou_thrs=[0.5]), dict(type='VOCDataset'), "nothing reads 'iou_thrs'; did you mean 'iou_thr'"),
        (dict(metric='mAP'), [coco(), coco()], "no metric 'mAP'"),
    ],
)
def test_wrong_name_is_told(settings, dataset, text):
    with pytest.raises(ConfigError, match=text):
        check_evaluation(settings, dataset)


def test_figure_that_a_hook_watches_is_checked_against_the_evaluation():
    check_evaluation(dict(metric='bbox'), coco(), monitors={'custom_hooks[0].monitor': 'bbox_mAP_50'})
    monitors = {'custom_hooks[0].monitor': 'bbox_AP/cat'}
    check_evaluation(dict(metric='bbox', classwise=True), coco(), monitors=monitors)
    with pytest.raises(ConfigError, match="gives no 'bbox_AP/cat'"):
        check_evaluation(dict(metric='bbox'), coco(), monitors=monitors)
    with pytest.raises(ConfigError, match="^custom_hooks.1..monitor: the evaluation gives no 'bbox_mAP50'; did you"):
        check_evaluation(dict(metric='bbox'), coco(), monitors={'custom_hooks[1].monitor': 'bbox_mAP50'})
