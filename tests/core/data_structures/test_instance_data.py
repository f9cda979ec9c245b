"""Named data with read-only meta information, and data of instances."""

import numpy as np
import pytest
import torch

from mmdet.core.data_structures import GeneralData, InstanceData


def general() -> GeneralData:
    return GeneralData(dict(img_shape=(4, 5, 3), pad=np.ones(2)), dict(boxes=torch.ones(2, 4, requires_grad=True)))


def instances(n: int = 3) -> InstanceData:
    data = dict(labels=torch.arange(n), masks=np.arange(n) * 10, names=[f'n{i}' for i in range(n)])
    return InstanceData(dict(img_shape=(4, 5, 3)), data)


def test_data_are_attributes_and_items():
    data = general()
    data.scores = torch.zeros(2)
    data['labels'] = [1]
    assert data.keys() == ['boxes', 'scores', 'labels'] and data.meta_info_keys() == ['img_shape', 'pad']
    assert data['labels'] is data.labels and 'scores' in data and 'other' not in data
    assert (data.get('other'), data.get('other', 3), data.get('labels')) == (None, 3, [1])
    assert data.pop('labels') == [1] and data.pop('labels', None) is None
    del data['scores']
    assert dict(data.items()).keys() == {'boxes'} and len(data.values()) == 1
    assert dict(data.meta_info_items())['img_shape'] == data.meta_info_values()[0] == (4, 5, 3)


def test_meta_information_stays():
    source = dict(img_shape=[1])
    data = GeneralData(source)
    source['img_shape'].append(2)
    assert data.img_shape == [1]
    data.set_meta_info(dict(img_shape=[1]))
    with pytest.raises(KeyError, match="'img_shape' is set already"):
        data.set_meta_info(dict(img_shape=[9]))
    for change in (
        lambda: setattr(data, 'img_shape', 1),
        lambda: data.__delitem__('img_shape'),
        lambda: data.pop('img_shape'),
    ):
        with pytest.raises(AttributeError, match="'img_shape' is meta information"):
            change()
    with pytest.raises(AttributeError, match='cannot be replaced'):
        data._data_fields = set()


def test_conversions_make_new_objects():
    data = general()
    assert isinstance(data.numpy().boxes, np.ndarray) and isinstance(data.boxes, torch.Tensor)
    assert not data.detach().boxes.requires_grad and data.boxes.requires_grad
    assert data.to(torch.double).boxes.dtype == torch.double and data.cpu().img_shape == (4, 5, 3)
    other = data.new(data=dict(x=1))
    assert other.keys() == ['x'] and other.img_shape == (4, 5, 3)
    assert 'boxes: shape (2, 4)' in repr(data)


@pytest.mark.parametrize(
    ('item', 'rows'),
    [
        (1, [1]),
        (-1, [2]),
        (slice(1, None), [1, 2]),
        ([2, 0], [2, 0]),
        (torch.tensor([True, False, True]), [0, 2]),
        (np.array([False, True, False]), [1]),
        (torch.tensor([2, 2]), [2, 2]),
        ([], []),
    ],
)
def test_indexing_picks_rows_of_every_value(item, rows):
    picked = instances()[item]
    assert len(picked) == len(rows) and picked.img_shape == (4, 5, 3)
    assert picked.labels.tolist() == rows and picked.masks.tolist() == [10 * r for r in rows]
    assert picked.names == [f'n{r}' for r in rows]


def test_cat_joins_and_keeps_the_first_meta_information():
    whole = instances(3)
    joined = InstanceData.cat([whole[:1], whole[1:1], whole[1:]])
    assert joined.names == whole.names and torch.equal(joined.labels, whole.labels)
    assert (joined.masks == whole.masks).all() and joined.img_shape == (4, 5, 3)
    assert len(InstanceData()) == 0


def test_errors_say_what_was_wrong():
    data = instances()
    with pytest.raises(ValueError, match="'scores' has 2 rows, 'labels' has 3"):
        data.scores = torch.zeros(2)
    with pytest.raises(TypeError, match="'scores' must be a tensor, an array or a list, got int"):
        data.scores = 3
    with pytest.raises(IndexError, match='instance 3 of 3'):
        data[3]
    with pytest.raises(IndexError, match='a mask of 2 for 3'):
        data[torch.tensor([True, False])]
    with pytest.raises(TypeError, match='chosen by int, slice'):
        data[1.5]
    with pytest.raises(ValueError, match='names differ'):
        InstanceData.cat([data, InstanceData(data=dict(labels=[1]))])


def test_text_spells_out_short_values():
    text = repr(GeneralData(dict(pad=np.ones(2), img_shape=(4, 5)), dict(boxes=torch.zeros(2, 4), score=torch.ones(1))))
    assert 'pad: array([1., 1.])' in text and 'img_shape: (4, 5)' in text
    assert 'boxes: shape (2, 4)' in text and 'score: tensor([1.])' in text


def test_new_objects_keep_the_meta_information():
    data = GeneralData(dict(img_shape=(4, 5)), dict(x=1))
    other = data.new(dict(flip=True), dict(y=2))
    assert (other.img_shape, other.flip, other.keys()) == ((4, 5), True, ['y'])
    assert data.meta_info_keys() == ['img_shape']
    with pytest.raises(KeyError, match="'img_shape' is set already, with another value"):
        data.new(dict(img_shape=(9, 9)))
    with pytest.raises(AttributeError, match='meta information'):
        other.flip = False
