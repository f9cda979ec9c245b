from types import SimpleNamespace

import pytest
from torch import nn

from mmdet.datasets.utils import NumClassCheckHook, get_loading_pipeline, replace_ImageToTensor

STEPS = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='MultiScaleFlipAug', transforms=[dict(type='Resize'), dict(type='ImageToTensor', keys=['img'])]),
]


def test_image_to_tensor_is_replaced_in_a_copy():
    with pytest.warns(UserWarning, match='ImageToTensor'):
        steps = replace_ImageToTensor(STEPS)
    assert steps[2]['transforms'] == [dict(type='Resize'), dict(type='DefaultFormatBundle')]
    assert STEPS[2]['transforms'][1]['type'] == 'ImageToTensor'


def test_loading_steps_are_picked():
    assert get_loading_pipeline(STEPS) == STEPS[:2]
    with pytest.raises(ValueError, match=r"got \['LoadImageFromFile'\]"):
        get_loading_pipeline(STEPS[:1])


def head(num_classes):
    module = nn.Module()
    module.num_classes = num_classes
    return module


def runner_of(classes, **heads):
    model = nn.ModuleDict({name: head(num) for name, num in heads.items()})
    dataset = SimpleNamespace(CLASSES=classes)
    warnings = []
    logger = SimpleNamespace(warning=warnings.append)
    return SimpleNamespace(data_loader=SimpleNamespace(dataset=dataset), model=model, logger=logger), warnings


def test_heads_are_compared_with_the_data_set():
    NumClassCheckHook().before_train_epoch(runner_of(('a', 'b'), bbox_head=2, rpn_head=1, extra_bbox_head=5)[0])
    with pytest.raises(ValueError, match=r'num_classes of bbox_head \(3\) does not fit the 2 CLASSES'):
        NumClassCheckHook().before_val_epoch(runner_of(('a', 'b'), bbox_head=3)[0])
    with pytest.raises(TypeError, match=r"is the text 'cat'; for one class write \('cat',\)"):
        NumClassCheckHook().before_train_epoch(runner_of('cat', bbox_head=3)[0])
    runner, warnings = runner_of(None, bbox_head=3)
    NumClassCheckHook().before_train_epoch(runner)
    assert 'has no CLASSES' in warnings[0]
