"""Compose and the steps that make data containers."""

import numpy as np
import pytest
import torch

from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.pipelines import (
    Collect,
    Compose,
    DefaultFormatBundle,
    ImageToTensor,
    ToDataContainer,
    ToTensor,
    Transpose,
    to_tensor,
)

COLLECT = dict(type='Collect', keys=['img'], meta_keys=['img_shape'])


def results(height=6, width=8, channels=3):
    shape = (height, width, channels) if channels else (height, width)
    img = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    return dict(img=img, img_shape=img.shape, img_fields=['img'], filename='folder/a.png')


def fail(data):
    raise KeyError('lost')


def test_compose_error_names_step_and_file():
    steps = Compose([dict(type='Pad', size_divisor=4), fail])
    with pytest.raises(KeyError, match=r'lost \[in pipeline step 2 \(fail\), image folder/a.png\]'):
        steps(results())
    nested = Compose([lambda data: data, steps])
    with pytest.raises(KeyError, match=r'step 2 \(fail\).*step 2 \(Compose\)'):
        nested(results())


def test_compose_error_names_the_file_before_it_is_loaded(tmp_path):
    steps = Compose([dict(type='LoadImageFromFile')])
    with pytest.raises(FileNotFoundError, match=r'gone.png.*step 1 \(LoadImageFromFile\), image gone.png'):
        steps(dict(img_info=dict(filename='gone.png'), img_prefix=str(tmp_path)))


def test_compose_stops_where_a_step_gives_none():
    assert Compose([lambda data: None, fail])(results()) is None


def test_compose_refuses_what_is_no_step():
    with pytest.raises(TypeError, match='dict.type=....*got int: 3'):
        Compose([3])
    with pytest.raises(KeyError, match="did you mean 'Resize'"):
        Compose([dict(type='Rezise')])


def test_compose_tells_each_step_what_comes_before_it():
    seen = []

    class Step:
        def __call__(self, data):
            return data

        def check_pipeline(self, previous_steps):
            seen.append(len(previous_steps))

    Compose([Step(), fail, Step()])
    assert seen == [0, 2]


def test_compose_repr_lists_the_steps():
    assert repr(Compose([dict(type='Pad', size=(2, 3)), dict(type='WrapFieldsToLists')])).splitlines() == [
        'Compose(',
        "    Pad(size=(2, 3), size_divisor=None, pad_to_square=False, pad_val={'img': 0, 'masks': 0, 'seg': 255})",
        '    WrapFieldsToLists()',
        ')',
    ]


@pytest.mark.parametrize('channels', [0, 1, 3, 4])
def test_image_to_tensor_puts_channels_first(channels):
    data = results(channels=channels)
    img = data['img'].copy()
    tensor = ImageToTensor(['img'])(data)['img']
    assert tensor.shape == (max(channels, 1), 6, 8) and tensor.is_contiguous()
    assert np.array_equal(tensor.numpy().transpose(1, 2, 0).reshape(img.shape), img)


def test_bundle_containers_stack_images_and_maps_only():
    data = results() | dict(
        gt_bboxes=np.zeros((0, 4), np.float32),
        gt_labels=np.zeros(0, np.int64),
        gt_masks='masks',
        gt_semantic_seg=np.zeros((6, 8), np.uint8),
    )
    out = DefaultFormatBundle(pad_val=dict(img=7, masks=1, seg=9))(data)
    assert {
        key: (value.stack, value.cpu_only, value.padding_value)
        for key, value in out.items()
        if key in data and hasattr(value, 'stack')
    } == {
        'img': (True, False, 7),
        'gt_bboxes': (False, False, 0),
        'gt_labels': (False, False, 0),
        'gt_masks': (False, True, 1),
        'gt_semantic_seg': (True, False, 9),
    }
    assert out['img'].data.dtype == torch.float32 and out['gt_semantic_seg'].data.shape == (1, 6, 8)
    assert out['gt_bboxes'].data.shape == (0, 4)


def test_bundle_fills_missing_metas_and_keeps_those_there():
    out = DefaultFormatBundle(img_to_float=False)(results(channels=0) | dict(scale_factor=2.5))
    assert out['img'].data.dtype == torch.uint8
    assert out['pad_shape'] == (6, 8) and out['scale_factor'] == 2.5
    assert out['img_norm_cfg']['mean'].tolist() == [0] and out['img_norm_cfg']['to_rgb'] is False


def test_collect_missing_key_names_it_and_what_is_there():
    assert Collect(['img'], ['img_shape'])(results())['img_metas'].data == dict(img_shape=(6, 8, 3))
    with pytest.raises(KeyError, match=r"set 'img_shap'; did you mean 'img_shape'.*There is: img, img_shape"):
        Collect(['img'], ['img_shap'])(results())


def test_to_data_container_leaves_its_config_alone():
    fields = [dict(key='img', stack=True)]
    step = ToDataContainer(fields)
    for _ in range(2):
        assert step(dict(img=np.zeros(3)))['img'].stack
    assert fields == [dict(key='img', stack=True)]


@pytest.mark.parametrize(
    ('value', 'want'),
    [(3, torch.tensor([3])), (2.5, torch.tensor([2.5])), ([1, 2], torch.tensor([1, 2])), (np.ones(2), torch.ones(2))],
)
def test_to_tensor_kinds(value, want):
    assert torch.equal(to_tensor(value).to(want.dtype), want)


def test_to_tensor_refuses_texts():
    with pytest.raises(TypeError, match='got str'):
        to_tensor('1')


def test_every_step_is_registered_under_its_name():
    import mmdet.datasets.pipelines as package

    steps = [name for name in package.__all__ if isinstance(getattr(package, name), type)]
    assert len(steps) > 20
    assert [name for name in steps if PIPELINES.get(name) is not getattr(package, name)] == []


@pytest.mark.parametrize('module', ['formating', 'custom_formating'])
def test_former_spelling_gives_the_same_classes(module):
    import importlib
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        old = importlib.import_module(f'mmdet.datasets.pipelines.{module}')
    new = importlib.import_module(f'mmdet.datasets.pipelines.{module.replace("format", "formatt")}')
    assert all(getattr(old, name) is getattr(new, name) for name in old.__all__)


def test_to_tensor_and_transpose_touch_their_keys_only():
    image = np.arange(24).reshape(2, 3, 4)
    steps = Compose([Transpose(['img'], (2, 0, 1)), ToTensor(['img', 'label'])])
    out = steps(dict(img=image, label=3, other=image))
    assert out['img'].shape == (4, 2, 3) and out['img'][1, 0, 2] == image[0, 2, 1]
    assert out['label'].tolist() == [3] and out['other'] is image
    lines = ['Compose(', "    Transpose(keys=['img'], order=(2, 0, 1))", "    ToTensor(keys=['img', 'label'])", ')']
    assert repr(steps).splitlines() == lines
