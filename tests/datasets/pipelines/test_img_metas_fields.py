"""AddFieldToImgMetas, RobustCollect, ExtraFormatBundle."""

import numpy as np
import pytest
import torch
from mmcv.parallel import DataContainer as DC

from mmdet.datasets.pipelines import AddFieldToImgMetas, Compose, ExtraFormatBundle, RobustCollect

COLLECT = dict(type='Collect', keys=['img'], meta_keys=['filename'])


def add(fields, values, **kwargs):
    return dict(type='AddFieldToImgMetas', fields=fields, values=values, **kwargs)


def run(*steps):
    return Compose(steps)(dict(img=np.zeros((2, 3, 3)), filename='a.png'))


def test_fields_reach_img_metas_after_collect():
    metas = run(COLLECT, add(['rpn_head.loss_weight', 'ignore_negatives'], [0.5, 1]))['img_metas'].data
    assert metas == {'filename': 'a.png', 'rpn_head.loss_weight': 0.5, 'ignore_negatives': 1}


def test_replace_false_keeps_what_is_there():
    metas = run(COLLECT, add(['filename', 'x'], ['b.png', 1], replace=False))['img_metas'].data
    assert metas == {'filename': 'a.png', 'x': 1}


def test_list_values_are_not_shared_between_images_nor_with_the_config():
    values = [[1, 2], {'a': [3]}]
    pipeline = Compose([COLLECT, add(['l', 'd'], values)])
    first, second = (pipeline(dict(img=0, filename=''))['img_metas'].data for _ in range(2))
    first['l'].append(9)
    first['d']['a'].append(9)
    values[0].append(8)
    assert second['l'] == [1, 2] and second['d'] == {'a': [3]}
    assert pipeline(dict(img=0, filename=''))['img_metas'].data['l'] == [1, 2]


def test_fields_reach_every_version_of_test_time_augmentation():
    inner = [dict(type='Resize'), dict(type='RandomFlip'), COLLECT]
    tta = dict(type='MultiScaleFlipAug', img_scale=(8, 8), flip=True, transforms=inner)
    metas = run(tta, add(['x'], [1]))['img_metas']
    assert [m.data['x'] for m in metas] == [1, 1]


@pytest.mark.parametrize(('fields', 'values'), [(['a', 'b'], [1]), (['a'], [1, 2]), ([], [0])])
def test_unequal_lengths_in_a_pipeline_say_both(fields, values):
    with pytest.raises(ValueError, match=f'{len(fields)} fields .* but {len(values)} values'):
        Compose([COLLECT, add(fields, values)])
    AddFieldToImgMetas(fields, values)  # alone it takes as many as there are pairs


@pytest.mark.parametrize('before', [[], [dict(type='Pad', size_divisor=2)]])
def test_place_before_collect_is_an_error_when_built(before):
    with pytest.raises(ValueError, match='must come after Collect or RobustCollect; steps before it: (none|Pad)'):
        Compose([*before, add(['a'], [1]), COLLECT])


def test_place_after_robust_collect_or_a_nested_collect_is_right():
    Compose([dict(type='RobustCollect', keys=['img']), add(['a'], [1])])
    Compose([Compose([COLLECT]), add(['a'], [1])])


def test_step_of_the_user_may_make_img_metas():
    metas = run(lambda data: dict(img_metas=DC({}, cpu_only=True)), add(['a'], [1]))['img_metas'].data
    assert metas == dict(a=1)
    with pytest.raises(AssertionError, match=r'no img_metas; put this step after Collect.*There is: img, filename'):
        run(lambda data: data, add(['a'], [1]))


@pytest.mark.parametrize(
    ('fields', 'values', 'error', 'text'),
    [
        ([3], [1], TypeError, r'fields: expected a list of \(a text\), got \[3\]'),
        ('ignore_negatives', [1], TypeError, "fields: expected a list of .*, got 'ignore_negatives'"),
        (['a'], 1, TypeError, 'values: expected a list of .*, got 1'),
        (['rpn_head.loss_weight'], [-1], ValueError, 'finite number >= 0, got -1'),
        (['roi_head.loss_weight'], [float('nan')], ValueError, 'got nan'),
        (['rpn_head.loss_weight'], ['0.5'], ValueError, "got '0.5'"),
        (['rpn_head.loss_weigth'], [1], ValueError, "did you mean 'rpn_head.loss_weight'"),
        (['ignore_negative'], [1], ValueError, "did you mean 'ignore_negatives'"),
        (['ignore_negatives'], ['1'], ValueError, 'expected 1'),
    ],
)
def test_impossible_fields_are_reported_when_built(fields, values, error, text):
    with pytest.raises(error, match=text):
        Compose([COLLECT, add(fields, values)])


def test_robust_collect_leaves_out_what_is_not_there():
    out = RobustCollect(['a', 'b'], ['c', 'd'])(dict(a=1, c=2, x=3))
    assert out['a'] == 1 and out['img_metas'].data == dict(c=2) and out['img_metas'].cpu_only
    assert set(out) == {'a', 'img_metas'}


def test_extra_bundle_makes_tensors_of_what_is_there():
    out = ExtraFormatBundle()(dict(gt_extra_labels=np.array([2, 0]), other=[1]))
    assert torch.equal(out['gt_extra_labels'].data, torch.tensor([2, 0])) and not out['gt_extra_labels'].stack
    assert out['other'] == [1]


def from_entry(info, names, default=None, **kwargs):
    steps = [COLLECT, dict(type='AddFieldToImgMetas', from_img_info=names, default=default, **kwargs)]
    pipeline = Compose(steps)
    pipeline.bind_classes(('cat', 'dog'), {5: 0, 7: 1})
    data = dict(img=np.zeros((2, 3, 3)), filename='a.png', img_info=dict(info, filename='a.png'))
    return pipeline(data)['img_metas'].data


def test_values_come_from_the_image_s_own_entry_though_collect_drops_it():
    metas = from_entry(
        {'ignore_negatives': 1, 'rpn_head.loss_weight': 0.5}, ['ignore_negatives', 'rpn_head.loss_weight']
    )
    assert metas == {'filename': 'a.png', 'ignore_negatives': 1, 'rpn_head.loss_weight': 0.5}


def test_value_of_the_entry_may_have_another_name_and_is_a_copy():
    info = {'quality': [1]}
    metas = from_entry(info, {'note': 'quality'})
    metas['note'].append(2)
    assert info == {'quality': [1]} and metas['note'] == [1, 2]


def test_default_stands_in_where_the_entry_has_no_value():
    assert from_entry({}, ['ignore_negatives', 'x'], default=0) == {'filename': 'a.png', 'ignore_negatives': 0, 'x': 0}
    metas = from_entry({'x': 3}, ['ignore_negatives', 'x'], default=dict(ignore_negatives=1))
    assert metas == {'filename': 'a.png', 'ignore_negatives': 1, 'x': 3}


def test_entry_without_value_and_default_is_an_error_that_names_the_image():
    with pytest.raises(KeyError, match=r"no 'x' in its entry and there is no default for it.*image a.png"):
        from_entry({'y': 1}, ['x'])
    step = AddFieldToImgMetas(from_img_info=['x'])
    with pytest.raises(KeyError, match='the entry is not known'):
        step(dict(img_metas=DC({}, cpu_only=True)))


@pytest.mark.parametrize(
    ('names', 'default', 'error', 'text'),
    [
        ('x', None, TypeError, "from_img_info must be a list, got 'x'"),
        ([1], None, TypeError, 'from_img_info must be texts, got 1'),
        (['ignore_negative'], None, ValueError, "did you mean 'ignore_negatives'"),
        (['ignore_negatives'], 7, ValueError, 'expected 1'),
        (['x', 'y'], dict(xx=7), ValueError, "default has 'xx', which from_img_info does not read; did you mean 'x'"),
    ],
)
def test_impossible_readings_are_reported_when_built(names, default, error, text):
    with pytest.raises(error, match=text):
        AddFieldToImgMetas(from_img_info=names, default=default)


def test_impossible_value_in_an_entry_is_reported():
    with pytest.raises(ValueError, match='finite number >= 0, got -1.*image a.png'):
        from_entry({'rpn_head.loss_weight': -1}, ['rpn_head.loss_weight'])


def test_names_and_category_ids_of_classes_become_labels():
    assert from_entry({}, [], fields=['labeled_classes'], values=[['dog', 0]])['labeled_classes'] == [1, 0]
    # 9 and 'tree' are in the file, but not trained on
    metas = from_entry({'unlabeled_classes': [7, 9, 'cat', 'tree']}, ['unlabeled_classes'])
    assert metas['unlabeled_classes'] == [1, 0]
    assert from_entry({}, ['labeled_classes'], default=dict(labeled_classes=['cat']))['labeled_classes'] == [0]
    with pytest.raises(ValueError, match="no class 'dgo'; did you mean 'dog'"):
        from_entry({}, [], fields=['labeled_classes'], values=[['dgo']])


def test_representation_is_as_ever_without_entries():
    assert repr(AddFieldToImgMetas(['a'], [1])) == "AddFieldToImgMetas(fields=['a'], values=[1], replace=True)"
    with_entries = repr(AddFieldToImgMetas(from_img_info=['a'], default=2))
    assert with_entries.endswith("from_img_info={'a': 'a'}, default={'a': 2})")
