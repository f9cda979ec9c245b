"""What is chosen for the data: models, classes, anchors, sizes, schedules, the text of values."""

import numpy as np
import pytest
from mmcv import Config

from mmdet.apis.configuring import models, plan
from mmdet.apis.configuring.facts import Facts, covered, find_facts
from mmdet.apis.configuring.literals import Name, literal
from mmdet.apis.configuring.make import shared_images
from mmdet.apis.configuring.read import Annotations
from mmdet.apis.configuring.sources import join_classes, similar_classes, source_names
from mmdet.apis.configuring.split import split_content


def facts(images=100, size_wh=(640, 480), side=64.0, has_masks=False):
    return Facts(images, 10, size_wh, np.full((10, 2), side), has_masks)


@pytest.mark.parametrize(
    ('name', 'path'),
    [
        ('faster_rcnn_r50_fpn', 'faster_rcnn/faster_rcnn_r50_fpn_1x_coco.py'),
        ('yolox_s', 'yolox/yolox_s_8x8_300e_coco.py'),
        ('fcos_r50', 'fcos/fcos_r50_caffe_fpn_gn-head_1x_coco.py'),
        (models.SMALL, 'custom/faster_rcnn_r18_fpn_small_coco.py'),
    ],
)
def test_model_is_found_by_the_beginning_of_its_name(name, path):
    assert models.find_model(name) == models.config_root() / path


def test_unknown_model_names_the_nearest():
    with pytest.raises(models.ModelError, match='did you mean .yolox_s_8x8_300e_coco'):
        models.find_model('yolo_s_8x8_300e_coco')


def test_model_by_device_and_data():
    chosen = [models.default_model(facts(n), device) for n, device in ((9, 'cpu'), (9, 'cuda'), (50_000, 'cuda'))]
    assert chosen == [models.SMALL, models.COMMON, models.STRONG]


def test_every_head_of_a_cascade_with_masks_gets_the_number_of_classes():
    cfg = Config.fromfile(str(models.find_model('cascade_mask_rcnn_r50_fpn')))
    found = models.class_overrides(cfg.model, 3)['roi_head']
    assert [head['num_classes'] for head in found['bbox_head']] == [3, 3, 3]
    assert found['mask_head'] == dict(num_classes=3)
    assert [head['num_classes'] for head in cfg.model.roi_head.bbox_head] == [80, 80, 80]


def test_covered_counts_boxes_with_a_like_anchor():
    # 10 x 10 in 20 x 20 has an IoU of 0.25; 16 x 20 one of 0.8
    assert covered(np.array([[10.0, 10], [16, 20], [20, 20]]), np.array([[20.0, 20]])) == pytest.approx(2 / 3)


def test_anchors_change_only_where_boxes_have_none():
    generator = dict(type='AnchorGenerator', scales=[8], ratios=[1.0], strides=[4, 8])  # sides 32 and 64 px
    assert models.choose_scale(generator, np.array([[32.0, 32], [60, 60]])) == (
        {},
        '100% of the boxes have an anchor of IoU 0.5 or more',
    )
    change, text = models.choose_scale(generator, np.array([[16.0, 16], [8, 8]]))
    assert change == dict(scales=[2]) and text.endswith(
        '0% of the boxes have an anchor of IoU 0.5 or more; with these 100%'
    )


@pytest.mark.parametrize(
    ('size_wh', 'side', 'small', 'scale'),
    [
        ((640, 480), 64.0, False, (640, 480)),  # as it is
        ((640, 480), 16.0, False, (1088, 800)),  # enlarged, but not above the largest: 800 / 480
        ((4000, 3000), 300.0, False, (1088, 800)),  # made smaller
        ((4000, 3000), 300.0, True, (512, 384)),
        ((64, 64), 20.0, True, (160, 160)),  # the shortest side that is trained on
    ],
)
def test_image_size_follows_the_data(size_wh, side, small, scale):
    assert plan.image_scale(facts(size_wh=size_wh, side=side), small)[0] == scale


def test_schedule_by_the_linear_rule_and_the_size_of_the_data():
    base = dict(
        optimizer=dict(lr=0.02),
        runner=dict(max_epochs=12),
        lr_config=dict(policy='step', warmup='linear', warmup_iters=500, step=[8, 11]),
    )
    values = plan.schedule(base, facts(images=400), batch=4, gpus=2, metric=['bbox', 'segm']).values
    assert values['optimizer'] == dict(lr=0.01)  # half of 16
    assert values['runner']['max_epochs'] == 80  # 4000 steps of 50 an epoch
    assert values['lr_config'] == dict(warmup_iters=400, step=[53, 73])
    assert values['evaluation'] == dict(interval=6, metric=['bbox', 'segm'], save_best='segm_mAP', classwise=True)
    long = {**base, 'runner': dict(max_epochs=300)}
    assert 'runner' not in plan.schedule(long, facts(), 4, 1, ['bbox']).values


def test_early_stopping_is_written_where_there_is_such_a_hook(monkeypatch):
    base = dict(optimizer=dict(lr=0.02), runner=dict(max_epochs=12), custom_hooks=[dict(type='NumClassCheckHook')])
    monkeypatch.setattr(plan, 'HOOKS', ())
    assert 'custom_hooks' not in plan.schedule(base, facts(), 2, 1, ['bbox']).values
    monkeypatch.setattr(plan, 'HOOKS', (plan.EARLY_STOPPING,))
    hooks = plan.schedule(base, facts(), 2, 1, ['bbox']).values['custom_hooks']
    assert [hook['type'] for hook in hooks] == ['NumClassCheckHook', plan.EARLY_STOPPING]


def test_facts_of_files():
    images = [dict(id=i, file_name=f'{i}', width=w, height=h) for i, (w, h) in enumerate([(100, 50), (50, 100)])]
    annotations = [
        dict(image_id=0, bbox=[0, 0, 10, 10], segmentation=[[0, 0, 1, 1, 2, 2, 3, 3]]),
        dict(image_id=1, bbox=[0, 0, 30, 30], iscrowd=1),
    ]
    found = find_facts([dict(images=images, annotations=annotations)])
    assert (found.images, found.boxes, found.size_wh, found.side, found.has_masks) == (2, 1, (100, 50), 10, False)
    annotations[0]['segmentation'] = [[0, 0, 9, 0, 5, 9]]
    assert find_facts([dict(images=images, annotations=annotations)]).has_masks


def test_classes_that_differ_in_spelling_alone_are_one():
    joined = join_classes([['traffic light', 'cat'], ['Traffic_Light', 'dog']])
    assert joined.classes == ['traffic light', 'cat', 'dog'] and joined.rename == {'Traffic_Light': 'traffic light'}
    assert similar_classes(joined.classes) == []


def test_classes_of_one_set_that_differ_in_spelling_alone_stay_two_and_are_told():
    joined = join_classes([['Cat', 'cat', 'dog'], ['cat', 'CAT']])
    assert joined.classes == ['Cat', 'cat', 'dog'] and joined.rename == {'CAT': 'Cat'}
    assert similar_classes(joined.classes) == [
        "'Cat' and 'cat' differ in spelling alone and are 2 classes; mend the annotations if they mean the same"
    ]


def test_sources_are_named_by_where_they_differ(tmp_path):
    assert source_names([tmp_path / 'a/train.json', tmp_path / 'b/train.json']) == ['a', 'b']
    assert source_names([tmp_path / 'own.json', tmp_path / 'my-other.json']) == ['own', 'my_other']


def test_images_of_two_sets_are_told(tmp_path):
    def annotations(*names):
        content = dict(images=[dict(file_name=name) for name in names], categories=[])
        return Annotations('coco', content, tmp_path, None, [])

    assert shared_images(annotations('a.png'), [annotations('b.png'), annotations('c.png')]) == []
    val, twice = shared_images(annotations('a.png', 'd.png'), [annotations('a.png', 'b.png'), annotations('./b.png')])
    assert val.startswith(f'1 of the 2 images for validation are trained on as well, such as {tmp_path}/a.png')
    assert twice == '1 images are in more than one training set'


def test_every_fifth_image_is_for_validation():
    images = [dict(id=i, file_name=f'{i:02}.jpg') for i in range(10)]
    annotations = [dict(id=i, image_id=i) for i in range(10)]
    train, val = split_content(dict(images=images, annotations=annotations, categories=[1]))
    assert [image['id'] for image in val['images']] == [ann['image_id'] for ann in val['annotations']] == [4, 9]
    assert len(train['images']) == len(train['annotations']) == 8 and val['categories'] == [1]


def test_literal_is_python_that_gives_the_value_back():
    value = dict(a=[1, (2,), 'x'], b={'c.d': dict(e=None)}, long=['word' * 9] * 5, f=Name('a_name'))
    text = literal(value)
    assert max(map(len, text.splitlines())) <= 110 and 'f=a_name' in text
    assert eval(text, dict(a_name=7)) == {**value, 'f': 7}
