import cv2
import mmcv
import numpy as np
import pytest
from coco_files import coco_content

from mmdet.datasets.audit.audit import AuditError, audit_dataset, short_counts
from mmdet.datasets.audit.image_check import find_loader
from mmdet.datasets.builder import build_dataset
from mmdet.datasets.pipelines import Compose, LoadImageFromFile

LOAD = dict(type='LoadImageFromFile')
COLLECT = dict(type='Collect', keys=['img'], meta_keys=())
BOXES = [[(5, 0, 0, 10, 10), (7, 20, 20, 20, 20)], [(7, 5, 5, 30, 30)]]


@pytest.fixture
def cfg_of(write_coco, tmp_path):
    """A function that writes content, with images, and gives a config of the data set."""

    def make(content=None, name='ann.json', fields=None, **kwargs):
        steps = [LOAD, COLLECT]
        if fields:
            steps.append(dict(type='AddFieldToImgMetas', fields=list(fields), values=list(fields.values())))
        path = write_coco(content or coco_content(BOXES), name, images=True)
        kwargs.setdefault('classes', ('cat', 'dog'))
        return dict(type='CocoDataset', ann_file=path, img_prefix=str(tmp_path), pipeline=steps, **kwargs)

    return make


def problems_of(cfg, **kwargs):
    with pytest.raises(AuditError) as error:
        audit_dataset(build_dataset(cfg), logger='silent', **kwargs)
    return error.value.problems


def test_sound_data_pass_with_a_table(cfg_of, capsys):
    fields = {'rpn_head.loss_weight': 0.5, 'ignore_negatives': True}
    parts = [cfg_of(), dict(type='RepeatDataset', times=3, dataset=cfg_of(name='part.json', fields=fields))]
    report = audit_dataset(build_dataset(dict(type='ConcatDataset', datasets=parts)), num_classes=2)
    whole, partial = report.parts
    assert (whole.images, whole.per_epoch, whole.boxes, whole.directives) == (2, 2, 3, '-')
    assert (partial.images, partial.per_epoch, partial.per_class) == (2, 6, {'cat': 1, 'dog': 2})
    assert partial.directives == 'rpn_head 0.5, ignore_negatives'
    assert report.table() in capsys.readouterr().out
    assert 'part.json' in report.table()


def test_directive_that_nothing_heeds_is_a_problem(cfg_of):
    fields = {'mask_head.loss_weight': 2, 'rpn_head.loss_weight': 1.0, 'ignore_negatives': 0}
    (problem,) = problems_of(cfg_of(fields=fields), directive_keys={'roi_head.loss_weight'})
    assert "nothing in the model reads 'mask_head.loss_weight' (read are: roi_head.loss_weight)" in problem
    directive_keys = {'mask_head.loss_weight'}  # what changes nothing needs nobody
    report = audit_dataset(build_dataset(cfg_of(fields=fields)), directive_keys=directive_keys, logger='silent')
    assert report.parts[0].directives == 'rpn_head 1, mask_head 2'


def test_missing_classes_are_named_with_near_ones(cfg_of):
    (problem,) = problems_of(cfg_of(classes=('cat', 'dogs')))
    assert "1 of 2 classes are not in the annotation file: 'dogs'; did you mean 'dog'" in problem
    assert "It has: 'cat', 'dog'" in problem
    assert 'ann.json' in problem


def test_no_image_left_says_why(cfg_of):
    content = coco_content([[], [(5, 0, 0, 10, 10)]])
    content['images'][1]['width'] = 20
    (problem,) = problems_of(cfg_of(content))
    assert '0 of 2 images are left: 1 without an object of the classes, 1 smaller than 32 px' in problem


def test_number_of_classes_of_heads(cfg_of):
    (problem,) = problems_of(cfg_of(), num_classes=80)
    assert 'the head has num_classes=80, but the data set has 2 classes (cat, dog). Set num_classes=2.' in problem
    (problem,) = problems_of(cfg_of(), num_classes={'roi_head.bbox_head': 3, 'mask_head': 2})
    assert 'roi_head.bbox_head has num_classes=3' in problem


def test_joined_data_sets_need_the_same_classes(cfg_of):
    (problem,) = problems_of([cfg_of(), cfg_of(name='other.json', classes=('dog', 'cat'))])
    assert 'other.json has other classes than' in problem
    assert 'dog, cat instead of cat, dog' in problem


def test_repeated_ids(cfg_of):
    dataset = build_dataset(cfg_of())
    dataset.coco.dataset['images'].append(dict(id=2))  # a subclass may load what the constructor refuses
    with pytest.raises(AuditError, match=r'1 id\(s\) of images are there more than once: 2'):
        audit_dataset(dataset, logger='silent')


def test_unusable_boxes_are_counted_and_stop_only_if_strict(cfg_of, capsys):
    boxes = [(5, 0, 0, 10, 10), (5, 1, 1, 0, 5), (5, 64, 0, 5, 5), (7, -5, -5, 4, 4), (7, 60, 40, 10, 10)]
    content = coco_content([boxes])
    content['annotations'].append(dict(content['annotations'][0], id=9, image_id=77))
    cfg = cfg_of(content)
    report = audit_dataset(build_dataset(cfg))
    assert report.parts[0].per_class == {'cat': 1, 'dog': 1}
    out = capsys.readouterr().out
    assert '1 of 6 boxes are without area (less than 1 px wide or high, or area 0): 2; they are left out' in out
    assert '2 of 6 boxes are outside their image: 3, 4' in out
    assert '1 of 6 boxes are of images that the file does not have: 9' in out
    assert '1 of 6 boxes lie partly outside their image: 5; what is outside is cut off' in out
    assert len(problems_of(cfg, strict=True)) == 4


def test_missing_and_unreadable_images(cfg_of, tmp_path):
    cfg = cfg_of()
    (tmp_path / '1.png').unlink()
    (tmp_path / '2.png').write_bytes(b'not an image')
    (problem,) = problems_of(cfg)
    assert '2 of 2 images looked at cannot be read' in problem
    assert str(tmp_path / '1.png') in problem
    assert str(tmp_path / '2.png') in problem


def test_size_unlike_the_file(cfg_of, tmp_path):
    cfg = cfg_of()
    cv2.imwrite(str(tmp_path / '2.png'), np.zeros((64, 48, 3), np.uint8))
    (problem,) = problems_of(cfg)
    assert '1 of 2 images looked at have another size' in problem
    assert '2.png (64x48 stated, 48x64 read)' in problem


def test_samples_are_spread_and_always_the_same(cfg_of, tmp_path):
    cfg = cfg_of(coco_content([[(5, 0, 0, 9, 9)]] * 5))
    (tmp_path / '2.png').unlink()
    audit_dataset(build_dataset(cfg), logger='silent', sample_files=3)  # looks at 1, 3, 5
    (tmp_path / '3.png').unlink()
    assert '1 of 3 images' in problems_of(cfg, sample_files=3)[0]
    audit_dataset(build_dataset(cfg), logger='silent', sample_files=0)


def test_impossible_directive(cfg_of):
    dataset = build_dataset(cfg_of(fields={'rpn_head.loss_weight': 1.0}))
    dataset.pipeline.transforms[-1].values[0] = -1
    with pytest.raises(AuditError, match='rpn_head.loss_weight: expected a finite number >= 0, got -1'):
        audit_dataset(dataset, logger='silent')


def test_all_problems_are_told_at_once(cfg_of, tmp_path):
    cfg = cfg_of(classes=('cat', 'cow'))
    (tmp_path / '1.png').unlink()
    with pytest.raises(AuditError, match=r'found 3 problem\(s\)') as error:
        audit_dataset(build_dataset(cfg), num_classes=3, logger='silent')
    assert [f'  {i}. ' in str(error.value) for i in (1, 2, 3)] == [True] * 3


def test_own_format_and_unknown_data_sets(tmp_path):
    import mmcv

    ann = dict(bboxes=np.asarray([[0, 0, 9, 9], [5, 5, 5, 9]], np.float32), labels=np.asarray([0, 4]))
    mmcv.dump([dict(filename='a.png', width=64, height=48, ann=ann)], tmp_path / 'ann.pkl')
    cfg = dict(type='CustomDataset', ann_file=f'{tmp_path}/ann.pkl', pipeline=[], classes=('cat', 'dog'))
    with pytest.warns(UserWarning, match='filter_empty_gt has no effect'):
        (problem,) = problems_of(cfg)
    assert '1 boxes have labels outside 0 ... 1: 4 in a.png' in problem

    class Numbers:
        CLASSES = ('cat',)

        def __len__(self):
            return 3

    assert audit_dataset(Numbers(), num_classes=1, logger='silent').parts[0].images == 3


def test_many_classes_are_shortened():
    assert short_counts({'a': 1, 'b': 2}) == 'b 2, a 1'
    text = short_counts({f'c{i}': i for i in range(10)})
    assert text == 'c9 9, c8 8, c7 7, c6 6, ... c1 1, c0 0 (10 classes, 1 of them without boxes)'


def test_values_of_the_images_entries_are_all_checked_and_counted(cfg_of):
    content = coco_content([[(5, 0, 0, 10, 10)]] * 3)
    for image, value in zip(content['images'], (0.5, 0.5, 2)):
        image['rpn_head.loss_weight'] = value
        image['labeled_classes'] = [5]
    step = dict(
        type='AddFieldToImgMetas', fields=['ignore_negatives'], values=[1],
        from_img_info=['rpn_head.loss_weight', 'labeled_classes'],
    )  # fmt: skip
    cfg = cfg_of(content)
    cfg['pipeline'].append(step)
    report = audit_dataset(build_dataset(cfg), logger='silent')
    assert report.parts[0].directives == (
        'ignore_negatives, labeled_classes: [0] (3), rpn_head.loss_weight: 0.5 (2), 2 (1)'
    )
    (problem,) = problems_of(cfg, directive_keys={'ignore_negatives', 'labeled_classes'})
    assert "nothing in the model reads 'rpn_head.loss_weight'" in problem


def test_impossible_and_missing_values_of_entries_are_problems_that_name_the_images(cfg_of):
    content = coco_content([[(5, 0, 0, 10, 10)]] * 4)
    for image, value in zip(content['images'], (0.5, -1, -1)):
        image['rpn_head.loss_weight'] = value
    cfg = cfg_of(content)
    cfg['pipeline'].append(dict(type='AddFieldToImgMetas', from_img_info=['rpn_head.loss_weight']))
    impossible, missing = problems_of(cfg)
    assert 'finite number >= 0, got -1 (images: 2.png, 3.png)' in impossible
    assert "no 'rpn_head.loss_weight' in its entry" in missing and '(images: 4.png)' in missing


def test_image_that_says_both_what_is_and_what_is_not_annotated_is_a_problem(cfg_of):
    fields = {'labeled_classes': ['cat'], 'unlabeled_classes': ['dog']}
    (problem,) = problems_of(cfg_of(fields=fields))
    assert 'has both labeled_classes and unlabeled_classes' in problem


def test_boxes_of_a_test_set_that_no_detector_finds_count_all_the_same(cfg_of, capsys):
    content = coco_content([[(5, 0, 0, 10, 10), (7, 1, 1, 0, 5)]])
    audit_dataset(build_dataset(cfg_of(content, test_mode=True)))
    out = capsys.readouterr().out
    assert 'area 0): 2; metrics count them all the same' in out and 'left out' not in out


def test_corners_written_as_width_and_height(cfg_of):
    boxes = [(5, x, 20, x + 20, 45) for x in range(10, 40, 3)]
    (problem,) = problems_of(cfg_of(coco_content([boxes])))
    assert '10 of 10 boxes leave their image: 1, 2, 3, 4, 5, ... (10 in all). Read as two corners they would' in problem
    audit_dataset(build_dataset(cfg_of(coco_content([[(5, 10, 20, 54, 28)]]))), logger='silent')


def test_corners_that_stay_inside_are_found_by_their_areas(cfg_of):
    content = coco_content([[(5, 4, 5, 10, 20), (7, 2, 2, 12, 12), (5, 8, 6, 20, 10)]])
    for ann in content['annotations']:
        x, y, w, h = ann['bbox']
        ann.update(bbox=[x, y, x + w, y + h], area=w * h)
    (problem,) = problems_of(cfg_of(content))
    assert 'the areas of 3 of 3 boxes are those of two corners, not width x height: 1, 2, 3.' in problem
    for ann in content['annotations']:  # areas of masks, smaller than either
        ann['area'] = 9
    assert not audit_dataset(build_dataset(cfg_of(content)), logger='silent').problems


def test_boxes_partly_outside_their_image_are_counted(cfg_of):
    # images are 64 px wide and 48 px high; less than a pixel is rounding
    boxes = [[(5, 50, 10, 20, 20), (7, -3, 30, 20, 5), (7, 0, 0, 64.5, 48.5), (5, 0, 40, 8, 4)]]
    (note,) = audit_dataset(build_dataset(cfg_of(coco_content(boxes))), logger='silent').notes
    assert '2 of 4 boxes lie partly outside their image: 1, 2; what is outside is cut off' in note
    assert 'two corners' not in note


def test_image_file_with_two_entries_is_counted(cfg_of):
    content = coco_content([[(5, 0, 0, 10, 10)], [(7, 1, 1, 10, 10)], [(5, 1, 1, 10, 10)]])
    content['images'][2]['file_name'] = './' + content['images'][0]['file_name']
    ids = [content['images'][i]['id'] for i in (0, 2)]
    (note,) = audit_dataset(build_dataset(cfg_of(content)), logger='silent', sample_files=0).notes
    name = content['images'][0]['file_name']
    assert f'1 image files have more than one entry: {name} (ids {ids[0]}, {ids[1]}); each entry has its own' in note


def test_masks_that_cannot_be_used_stop_a_training_with_masks_only(cfg_of, capsys):
    content = coco_content([[(5, 0, 0, 10, 10), (7, 20, 20, 20, 20)]])
    content['annotations'][0]['segmentation'] = [[0, 0, 9, 0, 9, 9]]
    content['annotations'][1]['segmentation'] = dict(size=[64, 48], counts=[64 * 48])
    cfg = cfg_of(content)
    audit_dataset(build_dataset(cfg), logger='silent')
    with_masks = dict(cfg, pipeline=[LOAD, dict(type='LoadAnnotations', with_mask=True)])
    (problem,) = problems_of(with_masks)
    assert '1 of 2 masks cannot be used: annotation 2: run lengths of size [64, 48]' in problem
    audit_dataset(build_dataset(dict(cfg, test_mode=True)))
    assert '1 of 2 masks cannot be used: annotation 2' in capsys.readouterr().out


def test_shared_annotations_are_not_read_again(cfg_of, monkeypatch):
    boxes = [[(5, 0, 0, 10, 10), (7, 1, 1, 0, 5)], [(7, 5, 5, 30, 30)]]
    plain = audit_dataset(build_dataset(cfg_of(coco_content(boxes))), logger='silent')
    dataset = build_dataset(cfg_of(coco_content(boxes), share_annotations=True))
    monkeypatch.setattr(dataset, '_read_coco', lambda path: pytest.fail('the file is read again'))
    assert audit_dataset(dataset, logger='silent') == plain and dataset._coco is None


def test_labels_below_zero_in_the_own_format(tmp_path):
    import mmcv

    ann = dict(bboxes=[[0, 0, 9, 9]], labels=[-1])
    mmcv.dump([dict(filename='a.png', width=64, height=48, ann=ann)], tmp_path / 'ann.json')
    cfg = dict(type='CustomDataset', ann_file=f'{tmp_path}/ann.json', pipeline=[], classes=('cat',))
    (problem,) = problems_of(dict(cfg, filter_empty_gt=False))
    assert '1 boxes have labels outside 0 ... 0: -1 in a.png' in problem


def test_data_without_a_box_to_train_on_are_a_problem(cfg_of):
    fractions = cfg_of(coco_content([[(5, 0.1, 0.1, 0.5, 0.5)]]), filter_empty_gt=False)
    (problem,) = problems_of(fractions)
    assert 'none of the 1 images has a box to train on' in problem and 'in px' in problem
    empty = cfg_of(coco_content([[]]), filter_empty_gt=False)
    (problem,) = problems_of(empty)
    assert 'none of the 1 images has a box to train on' in problem
    marked = dict(empty, directives=dict(ignore_negatives=True))
    assert not audit_dataset(build_dataset(marked), logger='silent').problems
    negatives = dict(type='ConcatDataset', datasets=[cfg_of(name='part.json'), fractions])
    assert not audit_dataset(build_dataset(negatives), logger='silent').problems
    assert not audit_dataset(build_dataset(dict(fractions, test_mode=True)), logger='silent').problems


def test_loaders_that_read_in_their_own_way_are_not_asked():
    class FramesLoader(LoadImageFromFile):
        def __call__(self, results):
            return [super(FramesLoader, self).__call__(frame) for frame in results]

    class Renamed(LoadImageFromFile):
        pass

    assert find_loader(Compose([FramesLoader()])) is None
    assert isinstance(find_loader(Compose([FramesLoader(), Renamed()])), Renamed)


def with_weights(cfg, key='loss_weight'):
    cfg['pipeline'].insert(1, dict(type='LoadAnnotations', with_weight=True, weight_key=key))
    return cfg


def test_loss_weights_of_objects_are_looked_at_where_the_pipeline_reads_them(cfg_of):
    content = coco_content(BOXES)
    content['annotations'][0]['loss_weight'], content['annotations'][2]['loss_weight'] = 0.5, -2
    assert not audit_dataset(build_dataset(cfg_of(content)), logger='silent').problems
    (problem,) = problems_of(with_weights(cfg_of(content)))
    assert '1 of 3 loss weights cannot be used: annotation 3: loss_weight must be a finite number' in problem
    report = audit_dataset(build_dataset(with_weights(cfg_of(content), 'los_weight')), logger='silent')
    assert "no annotation has 'los_weight'" in report.notes[0] and "did you mean 'loss_weight'" in report.notes[0]


def test_loss_weights_reach_the_pipeline_of_a_coco_file_and_of_a_list(cfg_of, tmp_path):
    content = coco_content(BOXES)
    content['annotations'][1]['loss_weight'] = 0.25
    cfg = with_weights(cfg_of(content))
    cfg['pipeline'] += [dict(type='DefaultFormatBundle')]
    cfg['pipeline'][2:3] = []
    cfg['pipeline'].append(dict(type='Collect', keys=['gt_weights'], meta_keys=()))
    assert build_dataset(cfg)[0]['gt_weights'].data.tolist() == [1, 0.25]
    ann = dict(bboxes=np.array([[0, 0, 9, 9], [5, 5, 5, 9], [2, 2, 8, 8]], np.float32), labels=np.array([0, 1, 1]))
    entry = dict(filename='1.png', width=64, height=48, ann=ann | dict(loss_weight=np.array([1, 2, 3.5])))
    mmcv.dump([entry], str(tmp_path / 'list.pkl'))
    listed = cfg | dict(type='CustomDataset', ann_file=str(tmp_path / 'list.pkl'))
    assert build_dataset(listed)[0]['gt_weights'].data.tolist() == [1, 3.5]  # the box without area is left out
    entry['ann']['loss_weight'][2] = np.nan
    mmcv.dump([entry], str(tmp_path / 'list.pkl'))
    (problem,) = problems_of(listed)
    assert 'annotation of 1.png: loss_weight must be a finite number >= 0, got nan' in problem
