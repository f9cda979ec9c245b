import pytest

from mmdet.core.evaluation.class_names import dataset_aliases, get_classes

COUNTS = dict(
    voc=20,
    imagenet_det=200,
    imagenet_vid=30,
    coco=80,
    wider_face=1,
    cityscapes=8,
    oid_challenge=500,
    oid_v6=601,
    objects365v1=365,
    objects365v2=365,
)


@pytest.mark.parametrize(('name', 'count'), COUNTS.items())
def test_names_are_complete_and_differ(name, count):
    classes = get_classes(name)
    assert len(classes) == len(set(classes)) == count
    assert all(get_classes(alias) == classes for alias in dataset_aliases[name])


def test_lists_belong_to_the_caller():
    get_classes('voc').append('more')
    assert len(get_classes('voc')) == 20
    assert get_classes('coco')[9] == 'traffic_light'


def test_unknown_names():
    with pytest.raises(ValueError, match="for 'coca'; did you mean 'coco'"):
        get_classes('coca')
    with pytest.raises(TypeError, match='expected a name, got list'):
        get_classes(['coco'])
