from types import SimpleNamespace

import pytest
from torch import nn

from mmdet.datasets.audit.checks import check_num_classes
from mmdet.datasets.utils import (
    NumClassCheckHook,
    expected_num_classes,
    get_loading_pipeline,
    head_num_classes,
    replace_ImageToTensor,
)

STEPS = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='MultiScaleFlipAug', transforms=[dict(type='Resize'), dict(type='ImageToTensor', keys=['img'])]),
]


@pytest.mark.filterwarnings('error')  # nothing is lost, and configs of 2.x are written so
def test_image_to_tensor_is_replaced_in_a_copy():
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


def test_backbones_and_semantic_heads_count_something_else():
    class FusedSemanticHead(nn.Module):
        num_classes = 183

    class Derived(FusedSemanticHead):
        pass

    backbone = nn.ModuleDict(dict(layer=head(1000)))
    backbone.num_classes = -1
    model = nn.ModuleDict(dict(backbone=backbone, semantic_head=Derived(), bbox_head=head(2)))
    assert head_num_classes(model) == {'bbox_head': 2}


def panoptic_head(things, stuff):
    module = head(things + stuff)
    module.num_things_classes, module.num_stuff_classes = things, stuff
    return module


def test_counts_of_things_and_stuff_are_compared_where_the_data_say_them():
    data = SimpleNamespace(CLASSES=('cat', 'dog', 'sky'))
    model = nn.ModuleDict(dict(fusion=panoptic_head(1, 2)))
    counts = head_num_classes(model)
    assert counts == {'fusion': 3, 'fusion.num_things_classes': 1, 'fusion.num_stuff_classes': 2}
    assert check_num_classes(counts, data.CLASSES) == []  # it is not known which are things
    of_panoptic = {'num_things_classes': 2, 'num_stuff_classes': 1}

    def expected(name):
        return of_panoptic.get(name.rpartition('.')[2], 3)

    assert check_num_classes(counts, data.CLASSES, expected) == [
        'fusion has num_things_classes=1, but the data set has 3 classes (cat, dog, sky). Set num_things_classes=2.',
        'fusion has num_stuff_classes=2, but the data set has 3 classes (cat, dog, sky). Set num_stuff_classes=1.',
    ]
    runner, _ = runner_of(data.CLASSES)
    runner.model = model
    NumClassCheckHook().before_train_epoch(runner)
    runner.data_loader.dataset.num_classes_of = expected
    with pytest.raises(ValueError, match=r'set num_things_classes=2, num_stuff_classes=1 in the config'):
        NumClassCheckHook().before_train_epoch(runner)


def test_heads_of_panoptic_models_have_numbers_of_their_own():
    inner = SimpleNamespace(num_classes_of=lambda name: 7, CLASSES=('a',))
    assert expected_num_classes(SimpleNamespace(dataset=inner, CLASSES=('a',)), 'semantic_head') == 7
    assert expected_num_classes(SimpleNamespace(CLASSES=('a', 'b')), 'bbox_head') == 2
