"""The data sets that differ from COCO in a few points."""

import numpy as np
import pytest
from coco_files import coco_content

from mmdet.datasets import DATASETS
from mmdet.datasets.cityscapes import CityscapesDataset
from mmdet.datasets.deepfashion import DeepFashionDataset
from mmdet.datasets.lvis import LVISV05Dataset, LVISV1Dataset
from mmdet.datasets.objects365 import Objects365V1Dataset, Objects365V2Dataset

PERSON = [dict(id=24, name='person'), dict(id=25, name='rider')]
NONE = np.zeros((0, 5), np.float32)


def test_cityscapes_leaves_out_images_of_crowds(write_coco):
    content = coco_content([[(24, 0, 0, 9, 9)], [(24, 0, 0, 9, 9)], []], categories=PERSON)
    content['annotations'][1]['iscrowd'] = 1
    dataset = CityscapesDataset(write_coco(content), [])
    assert dataset.img_ids == [1]
    assert [info['id'] for info in dataset.data_infos] == [1]
    assert dataset.filtered == {'without an object of the classes': 1, 'with crowds only': 1}
    assert len(CityscapesDataset(write_coco(content), [], filter_empty_gt=False)) == 3


def test_cityscapes_writes_a_list_and_masks(write_coco, tmp_path):
    mask_utils = pytest.importorskip('pycocotools.mask')
    dataset = CityscapesDataset(write_coco(coco_content([[(25, 0, 0, 9, 9)]], categories=PERSON)), [])
    mask = mask_utils.encode(np.ones((48, 64), np.uint8, order='F'))
    dets = [NONE, np.asarray([[0, 0, 9, 9, 0.25]], np.float32)] + [NONE] * 6
    (file,), folder = dataset.format_results([(dets, [[], [mask]] + [[]] * 6)], str(tmp_path / 'out'))
    assert folder is None
    with open(file) as lines:
        assert lines.read() == '1_0_rider.png 25 0.25\n'
    assert (tmp_path / 'out' / '1_0_rider.png').is_file()
    metrics = dataset.evaluate([dets], logger='silent')
    assert metrics['bbox_mAP'] == 1.0


def test_lvis_names_of_images(write_coco):
    content = coco_content([[(5, 0, 0, 9, 9)]])
    content['images'][0]['file_name'] = 'COCO_val2014_000000000001.jpg'
    dataset = LVISV05Dataset(write_coco(content), [], classes=('cat', 'dog'))
    assert dataset.data_infos[0]['filename'] == '000000000001.jpg'
    del content['images'][0]['file_name']
    content['images'][0]['coco_url'] = 'http://images.cocodataset.org/train2017/000000000001.jpg'
    dataset = LVISV1Dataset(write_coco(content), [], classes=('cat', 'dog'))
    assert dataset.data_infos[0]['filename'] == 'train2017/000000000001.jpg'
    with pytest.raises(KeyError, match="metric 'bbx' is not supported"):
        dataset.evaluate([[NONE, NONE]], metric='bbx')


def test_objects365_categories_are_sorted_by_id(write_coco, caplog):
    categories = [dict(id=2, name='Sneakers'), dict(id=1, name='Person')]
    content = coco_content([[(2, 0, 0, 9, 9)]], categories=categories)
    content['images'][0]['file_name'] = 'images/v1/patch8/objects365_v1_00420917.jpg'
    dataset = Objects365V2Dataset(write_coco(content), [])
    assert dataset.data_infos[0]['filename'] == 'patch8/objects365_v1_00420917.jpg'
    assert dataset.get_ann_info(0)['labels'].tolist() == [1]
    assert caplog.text == ''


@pytest.mark.parametrize(
    ('kind', 'count'),
    [
        (CityscapesDataset, 8),
        (DeepFashionDataset, 15),
        (LVISV05Dataset, 1230),
        (LVISV1Dataset, 1203),
        (Objects365V1Dataset, 365),
        (Objects365V2Dataset, 365),
    ],
)
def test_classes_and_colours(kind, count):
    assert len(set(kind.CLASSES)) == count
    assert kind.PALETTE is None or len(kind.PALETTE) == count


def test_lvis_without_a_version_is_the_first():
    assert DATASETS.get('LVISDataset') is LVISV05Dataset
