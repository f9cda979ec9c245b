"""Steps that need another package: what they say without it, and their own work."""

import importlib.util
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mmdet.core.mask import BitmapMasks
from mmdet.datasets.pipelines import Albu, Corrupt, InstaBoost

needs_albumentations = pytest.mark.skipif(
    importlib.util.find_spec('albumentations') is None, reason='albumentations is not installed'
)


@pytest.mark.parametrize(
    ('package', 'use'),
    [
        ('albumentations', lambda: Albu([])),
        ('instaboostfast', InstaBoost),
        ('imagecorruptions', lambda: Corrupt('fog')(dict(img=np.zeros((4, 4, 3))))),
    ],
)
def test_missing_package_says_what_to_run(package, use, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f'pip install {package}'):
        use()


def scene():
    """Objects in the upper left and in the lower right corner."""
    masks = np.zeros((2, 20, 30), np.uint8)
    masks[0, 2:6, 3:9] = 1
    masks[1, 15:, 25:] = 1
    return dict(
        img=np.repeat(masks.sum(0, dtype=np.uint8)[..., None], 3, 2),
        img_shape=(20, 30, 3),
        gt_bboxes=np.array([[3, 2, 9, 6], [25, 15, 30, 20]], np.float32),
        gt_labels=np.array([1, 2]),
        gt_extra_labels=np.array([11, 12]),
        gt_masks=BitmapMasks(masks, 20, 30),
    )


BOXES = dict(type='BboxParams', format='pascal_voc', label_fields=['gt_labels'], filter_lost_elements=True)


def crop(x1, y1, x2, y2):
    return dict(type='Crop', x_min=x1, y_min=y1, x_max=x2, y_max=y2, p=1.0)


@needs_albumentations
def test_albu_keeps_labels_and_masks_in_line():
    step = Albu([dict(type='HorizontalFlip', p=1.0), crop(10, 0, 30, 15)], BOXES, update_pad_shape=True)
    out = pickle.loads(pickle.dumps(step))(scene())
    assert out['gt_bboxes'].tolist() == [[11, 2, 17, 6]] == out['gt_masks'].get_bboxes().tolist()
    assert out['gt_labels'].tolist() == [1] and out['gt_extra_labels'].tolist() == [11]
    assert out['img_shape'] == out['pad_shape'] == (15, 20, 3)
    assert BOXES['filter_lost_elements'] is True


@needs_albumentations
@pytest.mark.parametrize('skip', [True, False])
def test_albu_without_remaining_objects(skip):
    out = Albu([crop(10, 6, 20, 15)], BOXES, skip_img_without_anno=skip)(scene())
    assert out is None if skip else (out['gt_bboxes'].shape == (0, 4) and len(out['gt_masks']) == 0)


@needs_albumentations
def test_albu_unknown_transform_is_named():
    with pytest.raises(ValueError, match="has no 'Flipp'"):
        Albu([dict(type='OneOf', transforms=[dict(type='Flipp')])])
    with pytest.raises(ValueError, match=r'must be dict\(type=...\)'):
        Albu([dict(p=1.0)])


def test_instaboost_hands_over_and_takes_back_annotations(monkeypatch):
    def get_new_data(anns, img, config, background):
        assert [ann['bbox'] for ann in anns] == [[3, 2, 6, 4], [25, 15, 5, 5]] and img.dtype == np.uint8
        return [anns[1], dict(anns[0], bbox=[0, 0, 0, 9])], img + 1

    module = SimpleNamespace(InstaBoostConfig=lambda *args: args, get_new_data=get_new_data)
    monkeypatch.setitem(sys.modules, 'instaboostfast', module)
    data = scene()
    ann_info = dict(labels=data['gt_labels'], bboxes=data['gt_bboxes'], masks=['first', 'second'])
    out = InstaBoost(aug_ratio=1.0)(dict(img=np.zeros((20, 30, 3), np.float32), ann_info=ann_info))
    assert out['ann_info']['bboxes'].tolist() == [[25, 15, 30, 20]] and out['ann_info']['labels'].tolist() == [2]
    assert out['ann_info']['masks'] == ['second'] and out['img'].dtype == np.float32 and out['img'].max() == 1
    assert ann_info['masks'] == ['first', 'second']
    assert InstaBoost(aug_ratio=0.0)(dict(ann_info=ann_info))['ann_info'] is ann_info
