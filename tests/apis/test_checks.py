"""The first sample of a data set, loaded before a run begins."""

import copy

import pytest
from mmcv import Config
from tiny import write_config

from mmdet.apis.checks import SampleError, check_sample
from mmdet.datasets import build_dataset
from mmdet.models import build_detector
from mmdet.utils.errors import ReportedError


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    from tiny import draw_data

    folder = tmp_path_factory.mktemp('checks')
    draw_data(folder, 3)
    cfg = Config.fromfile(str(write_config(folder)))
    return cfg, build_detector(cfg.model)


def move(steps, old, new):
    steps.insert(new, steps.pop(old))


FAULTS = {
    'no Collect': (
        lambda steps: steps.pop(7),
        "gives no 'img_metas', which FasterRCNN needs: .*'gt_bboxes', 'gt_labels'",
    ),
    'no bundle': (lambda steps: steps.pop(6), "gives 'img' as a plain array; .*DefaultFormatBundle"),
    'no flip': (lambda steps: steps.pop(3), "Collect: no step before has set 'flip'"),
    'no annotations': (lambda steps: steps.pop(1), "no step before has set 'gt_bboxes'"),
    'no image': (lambda steps: steps.pop(0), r"a step needs 'img', which no step before it gives \[in pipeline step 2"),
    'nothing': (lambda steps: steps.clear(), "gives no 'img', which FasterRCNN needs"),
    'Normalize last': (lambda steps: move(steps, 4, 7), r'must come before it \[in pipeline step 8 \(Normalize\)'),
    'no labels': (lambda steps: steps[-1].update(keys=['img', 'gt_bboxes']), "gives no 'gt_labels', which FasterRCNN"),
    'few metas': (lambda steps: steps[-1].update(meta_keys=['filename']), "must name 'img_shape' and 'pad_shape'"),
    'no size': (lambda steps: steps[2].pop('img_scale'), 'Resize: img_scale is needed'),
}


@pytest.mark.parametrize('name', FAULTS)
def test_pipeline_that_cannot_feed_the_detector_is_reported(config, name):
    cfg, model = config
    data = copy.deepcopy(cfg.data.train)
    change, text = FAULTS[name]
    change(data.pipeline)
    with pytest.raises(SampleError, match=f'^data.train: .*{text}'):
        check_sample(build_dataset(data), model, 'data.train', training=True)


def test_mask_head_needs_masks(config):
    cfg, _ = config
    mask_head = dict(
        type='FCNMaskHead', num_convs=1, in_channels=16, conv_out_channels=8, num_classes=2,
        loss_mask=dict(type='CrossEntropyLoss', use_mask=True),
    )  # fmt: skip
    settings = copy.deepcopy(cfg.model)
    settings.type = 'MaskRCNN'
    settings.roi_head.update(mask_head=mask_head, mask_roi_extractor=settings.roi_head.bbox_roi_extractor)
    settings.train_cfg.rcnn.mask_size = 28
    with pytest.raises(SampleError, match="gives no 'gt_masks', which MaskRCNN needs"):
        check_sample(build_dataset(cfg.data.train), build_detector(settings), 'data.train', training=True)


def test_right_pipelines_pass_and_broken_images_are_named(config, tmp_path):
    cfg, model = config
    check_sample(build_dataset(cfg.data.train), model, 'data.train', training=True)
    check_sample(build_dataset(cfg.data.val, dict(test_mode=True)), model, 'data.val')
    wrong = build_dataset(dict(cfg.data.val, pipeline=cfg.data.train.pipeline), dict(test_mode=True))
    with pytest.raises(SampleError, match="^data.val: a step needs 'ann_info', which no step"):
        check_sample(wrong, model, 'data.val')
    gone = build_dataset(dict(cfg.data.val, img_prefix=str(tmp_path)), dict(test_mode=True))
    with pytest.raises(ReportedError, match='image file not found'):
        check_sample(gone, model, 'data.val')
