"""Directives of two sources on their way through ConcatDataset, a mixing step and Collect."""

import cv2
import numpy as np
import pytest
from coco_files import coco_content

from mmdet.core.directives import IGNORE_NEGATIVES, ROI_HEAD, RPN_HEAD, loss_weight_key
from mmdet.datasets import audit_dataset, build_dataset
from mmdet.datasets.pipelines import AddDirectives, Compose, MixUp
from mmdet.datasets.pipelines.image_directives import DIRECTIVES

RPN, ROI = loss_weight_key(RPN_HEAD), loss_weight_key(ROI_HEAD)
SIDE = 32  # px, images are square
BOX = (5, 4, 4, 16, 8)  # 128 px²
FORMAT = [dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img', 'gt_bboxes'], meta_keys=['filename'])]
MOSAIC = dict(type='Mosaic', img_scale=(SIDE, SIDE), center_ratio_range=(0.75, 0.75))
MIXUP = dict(type='MixUp', img_scale=(SIDE, SIDE), ratio_range=(1, 1), flip_ratio=0)
PASTE = dict(type='CopyPaste', selected=False, mask_occluded_thr=0)


@pytest.fixture
def mixed(tmp_path, write_coco):
    """A function: two data sets of one image, with these directives, joined and mixed by one step."""

    def build(first, second, step, tail=FORMAT):
        parts = []
        for name, directives in (('a', first), ('b', second)):
            content = coco_content([[BOX]], (SIDE, SIDE))
            content['images'][0]['file_name'] = f'{name}.png'
            cv2.imwrite(str(tmp_path / f'{name}.png'), np.full((SIDE, SIDE, 3), 99, np.uint8))
            steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
            if directives is not None:
                steps.append(dict(type='AddDirectives', directives=directives))
            parts.append(
                dict(
                    type='CocoDataset',
                    ann_file=write_coco(content, f'{name}.json'),
                    img_prefix=str(tmp_path),
                    classes=('cat',),
                    pipeline=steps,
                )
            )
        return build_dataset(
            dict(
                type='MultiImageMixDataset',
                dataset=dict(type='ConcatDataset', datasets=parts),
                pipeline=[step, *tail],
            )
        )

    return build


def metas_of(dataset, monkeypatch, others, idx=0):
    """Meta information of image ``idx`` when the mixing step draws the images ``others``."""
    step = dataset.pipeline[0]
    monkeypatch.setattr(step, 'get_indexes', lambda _: others if len(others) > 1 else others[0])
    return dataset[idx]['img_metas'].data


def test_mosaic_counts_each_part_by_its_area(mixed, monkeypatch):
    dataset = mixed({RPN: 3.0}, {RPN: 1.0, ROI: 0.5}, MOSAIC)
    # the centre is at (24, 24): upper left 24 x 24 px, upper right 32 x 24, lower left 24 x 32, lower right 32 x 32
    metas = metas_of(dataset, monkeypatch, [1, 0, 0])
    assert metas[RPN] == pytest.approx((3 * (24 * 24 + 24 * 32 + 32 * 32) + 1 * 32 * 24) / 56**2)
    assert metas[ROI] == pytest.approx((0.5 * 32 * 24 + 56**2 - 32 * 24) / 56**2)
    assert metas_of(dataset, monkeypatch, [0, 0, 0])[RPN] == 3.0
    assert ROI not in metas_of(dataset, monkeypatch, [0, 0, 0])


def test_mixup_of_two_whole_images_is_the_plain_mean(mixed, monkeypatch):
    dataset = mixed({RPN: 3.0}, {RPN: 1.0}, MIXUP)
    assert metas_of(dataset, monkeypatch, [1])[RPN] == 2.0
    assert metas_of(dataset, monkeypatch, [0], idx=1)[RPN] == 2.0


def test_mixup_counts_the_second_image_by_what_is_seen(mixed, monkeypatch):
    dataset = mixed({RPN: 3.0}, {RPN: 1.0}, dict(MIXUP, ratio_range=(0.5, 0.5)))
    assert metas_of(dataset, monkeypatch, [1])[RPN] == pytest.approx((3 * 4 + 1) / 5)  # a quarter of its pixels


def test_area_on_layer_hand_computed():
    area = MixUp._area_on_layer
    # an image of 10 x 20 px, doubled, on a layer of 80 x 60 px, of which 50 x 50 px are used from (10, 5) on
    assert area((10, 20), 2.0, (80, 60), False, (10, 5), (50, 50)) == (40 - 10) * (20 - 5)
    assert area((10, 20), 2.0, (80, 60), True, (10, 5), (50, 50)) == (60 - 20) * (20 - 5)
    assert area((10, 20), 2.0, (80, 60), False, (10, 30), (50, 50)) == 0  # only the room below the image


def test_copy_paste_counts_the_pasted_pixels(mixed, monkeypatch):
    dataset = mixed({RPN: 3.0}, {RPN: 1.0}, PASTE)
    pasted = 16 * 8
    assert metas_of(dataset, monkeypatch, [1])[RPN] == pytest.approx((3 * (SIDE**2 - pasted) + pasted) / SIDE**2)


@pytest.mark.parametrize(('step', 'count'), [(MOSAIC, 3), (MIXUP, 1), (PASTE, 1)], ids=['Mosaic', 'MixUp', 'CopyPaste'])
def test_negatives_are_ignored_if_one_part_says_so(mixed, monkeypatch, step, count):
    dataset = mixed(None, {IGNORE_NEGATIVES: 1}, step)
    for idx, other in ((0, 1), (1, 0), (1, 1)):
        assert metas_of(dataset, monkeypatch, [other] * count, idx)[IGNORE_NEGATIVES] == 1
    assert list(metas_of(dataset, monkeypatch, [0] * count)) == ['filename']


def test_steps_without_other_images_leave_the_directives(mixed, monkeypatch):
    dataset = mixed({RPN: 3.0}, {RPN: 1.0}, dict(MOSAIC, prob=0.0))
    assert metas_of(dataset, monkeypatch, [1, 1, 1])[RPN] == 3.0


def test_robust_collect_keeps_directives_too(mixed, monkeypatch):
    tail = [FORMAT[0], dict(FORMAT[1], type='RobustCollect', meta_keys=['nowhere'])]
    dataset = mixed({RPN: 3.0}, {RPN: 1.0}, MIXUP, tail)
    assert metas_of(dataset, monkeypatch, [1]) == {RPN: 2.0}


def test_two_mixing_steps_keep_the_mean(mixed, monkeypatch):
    dataset = mixed({RPN: 3.0}, {RPN: 1.0}, MIXUP, [dict(PASTE), *FORMAT])
    monkeypatch.setattr(dataset.pipeline[1], 'get_indexes', lambda _: 1)
    pasted = 16 * 8
    want = (2 * (SIDE**2 - pasted) + pasted) / SIDE**2
    assert metas_of(dataset, monkeypatch, [1])[RPN] == pytest.approx(want)


def test_add_directives_adds_and_replaces():
    results = Compose([AddDirectives({RPN: 1, ROI: 2}), AddDirectives({ROI: 3})])({})
    assert results == {DIRECTIVES: {RPN: 1, ROI: 3}}
    assert repr(AddDirectives({RPN: 1})) == f"AddDirectives(directives={{'{RPN}': 1}})"


def test_add_directives_after_collect_writes_into_img_metas():
    collected = Compose([FORMAT[1], dict(type='AddDirectives', directives={RPN: 1})])
    assert collected(dict(img=0, gt_bboxes=0, filename='a'))['img_metas'].data == {'filename': 'a', RPN: 1}


def test_add_directives_reads_the_entry_of_the_image():
    step = dict(type='AddDirectives', directives={RPN: 2, ROI: 3}, from_img_info={RPN: 'weight'})
    assert Compose([step])(dict(img_info=dict(weight=0.5)))[DIRECTIVES] == {RPN: 0.5, ROI: 3}
    assert Compose([step])(dict(img_info=dict()))[DIRECTIVES] == {RPN: 2, ROI: 3}
    kept = Compose([AddDirectives({RPN: 1}), dict(step, replace=False)])
    assert kept(dict(img_info=dict(weight=0.5)))[DIRECTIVES] == {RPN: 1, ROI: 3}


def test_add_directives_with_a_wrong_name():
    with pytest.raises(ValueError, match='did you mean'):
        AddDirectives({RPN + 's': 1})
    with pytest.raises(TypeError, match='expected a dict'):
        AddDirectives([RPN])


def test_the_audit_shows_them(mixed, capsys):
    audit_dataset(mixed({RPN: 3.0}, {IGNORE_NEGATIVES: 1}, MIXUP))
    out = capsys.readouterr().out
    assert f'{RPN_HEAD} 3' in out and IGNORE_NEGATIVES in out
