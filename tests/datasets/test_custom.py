import mmcv
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mmdet.datasets.audit.broken_images import BrokenImageError
from mmdet.datasets.custom import CustomDataset

pytestmark = pytest.mark.filterwarnings('ignore:.*filter_empty_gt')
SIZES_WH = [(64, 48), (48, 64), (64, 64), (100, 40), (20, 90)]


@pytest.fixture
def ann_file(tmp_path):
    infos = []
    for i, (width, height) in enumerate(SIZES_WH):
        mmcv.imwrite(np.full((height, width, 3), i, np.uint8), f'{tmp_path}/{i}.png')
        ann = dict(bboxes=np.asarray([[0, 0, 10 + i, 10]], np.float32), labels=np.asarray([i % 2]))
        infos.append(dict(filename=f'{i}.png', width=width, height=height, ann=ann))
    mmcv.dump(infos, tmp_path / 'ann.pkl')
    return 'ann.pkl'


def build(tmp_path, pipeline=(), **kwargs):
    kwargs.setdefault('classes', ('cat', 'dog'))
    return CustomDataset('ann.pkl', list(pipeline), data_root=str(tmp_path), img_prefix='.', **kwargs)


def first_pixel(results):
    return int(results['img'][0, 0, 0])


LOAD = [dict(type='LoadImageFromFile'), first_pixel]


def test_small_images_are_left_out_and_the_others_grouped(ann_file, tmp_path):
    dataset = build(tmp_path)
    assert [info['filename'] for info in dataset.data_infos] == ['0.png', '1.png', '2.png', '3.png']
    assert_array_equal(dataset.flag, [1, 0, 0, 1])
    assert dataset.filtered == {'smaller than 32 px': 1}
    assert len(build(tmp_path, test_mode=True)) == 5


def test_another_image_is_of_the_same_group(ann_file, tmp_path):
    dataset = build(tmp_path)
    assert {dataset._rand_another(0) for _ in range(50)} == {0, 3}


def test_none_from_the_pipeline_takes_another_image(ann_file, tmp_path):
    dataset = build(tmp_path, [*LOAD, lambda value: None if value == 0 else value])
    assert {dataset[0] for _ in range(5)} == {3}
    assert dataset[1] == 1


def test_a_pipeline_that_leaves_nothing_is_an_error(ann_file, tmp_path, monkeypatch):
    monkeypatch.setattr('mmdet.datasets.audit.usable_samples.MAX_REFETCH', 7)
    with pytest.raises(RuntimeError, match='7 images in turn, from 0.png on, were not usable'):
        build(tmp_path, [lambda results: None])[0]


def test_broken_image_is_named(ann_file, tmp_path):
    (tmp_path / '1.png').write_bytes(b'\x89PNG broken')
    with pytest.raises(BrokenImageError, match=r'1\.png.*image 1 of .*ann\.pkl.*skip_broken=True'):
        build(tmp_path, LOAD)[1]
    (tmp_path / '1.png').unlink()
    with pytest.raises(BrokenImageError, match=r'not found.*1\.png.*--skip-broken'):
        build(tmp_path, LOAD, test_mode=True)[1]


def test_broken_image_is_left_out_of_a_test(ann_file, tmp_path, caplog):
    infos = build(tmp_path, LOAD, test_mode=True).data_infos
    (tmp_path / '1.png').write_bytes(b'')
    dataset = build(tmp_path, LOAD, test_mode=True, skip_broken=True)
    names = [info['filename'] for info in infos]
    assert [info['filename'] for info in dataset.data_infos] == [names[0], *names[2:]] and dataset.num_broken == 1
    assert (
        len(caplog.records) == 1 and f'1 of {len(infos)} images are left out' in caplog.text and '1.png' in caplog.text
    )


def test_broken_image_is_skipped_counted_and_reported_once(ann_file, tmp_path, caplog):
    (tmp_path / '1.png').write_bytes(b'')
    dataset = build(tmp_path, LOAD, skip_broken=True)
    assert [dataset[1] for _ in range(4)] == [2] * 4
    assert dataset.num_broken == 1
    assert len(caplog.records) == 1
    assert '1.png' in caplog.text


def test_loading_processes_share_the_count(ann_file, tmp_path):
    from torch.utils.data import DataLoader

    (tmp_path / '1.png').unlink()
    dataset = build(tmp_path, LOAD, skip_broken=True)
    assert sorted(DataLoader(dataset, batch_size=None, num_workers=1)) == [0, 2, 2, 3]
    assert dataset.num_broken == 1


def test_other_errors_stay_what_they_are(ann_file, tmp_path):
    def fault(results):
        raise ZeroDivisionError('own fault')

    with pytest.raises(ZeroDivisionError, match='own fault'):
        build(tmp_path, [*LOAD[:1], fault], skip_broken=True)[0]


def test_unusable_boxes_do_not_reach_training(ann_file, tmp_path):
    dataset = build(tmp_path, [lambda results: results['ann_info']])
    dataset.data_infos[0]['ann'] = dict(
        bboxes=np.asarray([[5, 5, 5, 9], [1, 1, 9, 9], [64, 0, 70, 5]], np.float32),
        labels=np.asarray([0, 1, 1]),
        masks=['a', 'b', 'c'],
        bboxes_ignore=np.zeros((2, 4)),
    )
    ann = dataset[0]
    assert_allclose(ann['bboxes'], [[1, 1, 9, 9]])
    assert_array_equal(ann['labels'], [1])
    assert ann['masks'] == ['b']
    assert len(ann['bboxes_ignore']) == 2
    assert len(dataset.get_ann_info(0)['bboxes']) == 3


def test_proposals_go_with_their_images(ann_file, tmp_path):
    mmcv.dump([np.full((1, 5), i) for i in range(5)], tmp_path / 'prop.pkl')
    dataset = build(tmp_path, [lambda results: results['proposals'][0, 0]], proposal_file='prop.pkl')
    assert [dataset[i] for i in range(4)] == [0, 1, 2, 3]
    mmcv.dump([], tmp_path / 'prop.pkl')
    with pytest.raises(ValueError, match='proposal_file has 0 entries for 5 images'):
        build(tmp_path, proposal_file='prop.pkl')


def test_classes_from_a_file(ann_file, tmp_path):
    (tmp_path / 'names.txt').write_text('red\ngreen\n')
    assert build(tmp_path, classes=f'{tmp_path}/names.txt').CLASSES == ['red', 'green']
    with pytest.raises(ValueError, match='classes: expected a list or tuple of names'):
        build(tmp_path, classes=3)


def test_images_of_each_class(ann_file, tmp_path):
    assert build(tmp_path).get_cat2imgs() == {0: [0, 2], 1: [1, 3]}
    with pytest.raises(ValueError, match='CLASSES is None'):
        build(tmp_path, classes=None).get_cat2imgs()


def test_map_and_recall(ann_file, tmp_path):
    dataset = build(tmp_path, test_mode=True)
    empty = np.zeros((0, 5), np.float32)
    found = [np.asarray([[0, 0, 10 + i, 10, 0.9]], np.float32) for i in range(5)]
    results = [[dets, empty] if i % 2 == 0 else [empty, empty] for i, dets in enumerate(found)]
    metrics = dataset.evaluate(results, iou_thr=[0.5, 0.9], logger='silent')
    assert metrics == {'AP50': 0.5, 'AP90': 0.5, 'mAP': 0.5}  # all cats, no dog
    by_class = dataset.evaluate(results, logger='silent', classwise=True)
    assert by_class == {'AP50': 0.5, 'mAP': 0.5, 'AP50/cat': 1.0, 'AP50/dog': 0.0}
    recalls = dataset.evaluate(found, metric='recall', proposal_nums=(1,), iou_thr=[0.5, 0.9], logger='silent')
    assert recalls == {'recall@1@0.5': 1.0, 'recall@1@0.9': 1.0, 'AR@1': 1.0}
    with pytest.raises(KeyError, match="metric 'map' is not supported; did you mean 'mAP'"):
        dataset.evaluate(results, metric='map')
    with pytest.raises(ValueError, match='results has 1 entries for 5 images'):
        dataset.evaluate(results[:1])


def test_repr_counts_instances(ann_file, tmp_path):
    text = repr(build(tmp_path))
    assert 'CustomDataset Train dataset with number of images 4' in text
    assert '| dog   | 2         |' in text


@pytest.mark.parametrize('ending', ['json', 'yaml'])
def test_lists_of_numbers_are_arrays_and_images_without_boxes_have_none(tmp_path, ending):
    anns = [dict(bboxes=[[0, 0, 9, 9]], labels=[1], bboxes_ignore=[]), dict(bboxes=[], labels=[])]
    infos = [dict(filename=f'{i}.png', width=64, height=48, ann=ann) for i, ann in enumerate(anns)]
    mmcv.dump(infos, str(tmp_path / f'ann.{ending}'))
    steps = [dict(type='LoadAnnotations')]
    dataset = CustomDataset(str(tmp_path / f'ann.{ending}'), steps, classes=('a', 'b'), filter_empty_gt=False)
    with_boxes, without = dataset[0], dataset[1]
    assert with_boxes['gt_bboxes'].shape == (1, 4) and with_boxes['gt_labels'].tolist() == [1]
    assert without['gt_bboxes'].shape == with_boxes['gt_bboxes_ignore'].shape == (0, 4)
    assert without['gt_labels'].dtype == np.int64


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (dict(a=1), 'expected a list with an entry for each image, got dict'),
        ([dict(width=1)], 'entry 0 has no "filename"'),
        ([dict(filename='a.png', ann=dict(bboxes=[[1, 2, 3]]))], r'bboxes of a\.png: expected 4 finite number'),
        ([dict(filename='a.png', ann=dict(bboxes=[['x']]))], r'bboxes of a\.png: expected lists of numbers'),
        ([dict(filename='a.png', ann=dict(labels=[[1]]))], r'labels of a\.png: expected 1 finite number'),
    ],
)
def test_entries_of_another_form_are_named(tmp_path, content, words):
    mmcv.dump(content, str(tmp_path / 'ann.json'))
    with pytest.raises(ValueError, match=words):
        CustomDataset(str(tmp_path / 'ann.json'), [], classes=('a',))


def test_class_names_from_a_text_are_checked(tmp_path):
    (tmp_path / 'names.txt').write_text('red\nblue\n', encoding='utf-8-sig')
    assert CustomDataset.get_classes(str(tmp_path / 'names.txt')) == ['red', 'blue']
    with pytest.raises(ValueError, match=r"there is no such file; for one class write \('red',\), with a comma"):
        CustomDataset.get_classes('red')
    with pytest.raises(ValueError, match="classes: 'red' is there more than once"):
        CustomDataset.get_classes(('red', 'blue', 'red '))
    with pytest.raises(ValueError, match='must be texts, got 3'):
        CustomDataset.get_classes(('red', 3))
