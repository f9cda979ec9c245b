"""Folds: which images go where, training on the others, results that exist."""

import json
from pathlib import Path

import numpy as np
import pytest
from incomplete_shapes import load_config, write_config

import mmdet.apis.label_errors.folds as folds_module
from mmdet.apis.label_errors import checkpoint_folds, read_results, sources_of, train_folds
from mmdet.apis.label_errors.folds import fold_numbers, with_annotation_files, write_fold
from mmdet.apis.launch import UserError
from mmdet.utils.plain_data import dump_plain

TINY = """
data.update(samples_per_gpu=4)
model = dict(
    backbone=dict(base_channels=4, stem_channels=4), neck=dict(in_channels=[4, 8, 16, 32], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=8),
    roi_head=dict(bbox_roi_extractor=dict(out_channels=16), bbox_head=dict(in_channels=16, fc_out_channels=16)),
    test_cfg=dict(rcnn=dict(score_thr=0.01)))
evaluation = dict(interval=5)
runner = dict(max_epochs=1)
log_config = dict(hooks=[])
"""


def subset(content, count):
    """The first images of a COCO dictionary."""
    images = content['images'][:count]
    ids = {image['id'] for image in images}
    return {**content, 'images': images, 'annotations': [r for r in content['annotations'] if r['image_id'] in ids]}


@pytest.fixture(scope='module')
def small(world, tmp_path_factory):
    """Config and folder of ten images of two sources."""
    folder = tmp_path_factory.mktemp('small')
    (folder / 'images').symlink_to(world.folder / 'images')
    contents = dict(real=subset(world.complete['real'], 6), clean=subset(world.complete['clean'], 4))
    # an image without objects belongs to a fold as well
    contents['clean']['annotations'] = [r for r in contents['clean']['annotations'] if r['image_id'] != 1]
    return load_config(write_config(folder, contents, TINY)), folder


def test_every_image_is_in_one_fold_and_each_data_set_is_divided_evenly():
    numbers = fold_numbers([10, 7], 3, seed=1)
    assert [np.bincount(part).tolist() for part in numbers] == [[4, 3, 3], [2, 3, 2]]
    assert not np.array_equal(numbers[0], fold_numbers([10, 7], 3, seed=2)[0])
    with pytest.raises(UserError, match='--folds: expected 2 to 17'):
        fold_numbers([10, 7], 1, seed=1)


def test_files_of_a_fold_hold_its_images_and_their_annotations(small, tmp_path):
    cfg, _ = small
    sources = sources_of(cfg)
    chosen = [np.arange(6) < 2, np.arange(4) >= 3]
    paths = write_fold(sources, chosen, tmp_path)
    contents = [json.loads(Path(path).read_text()) for path in paths]
    assert [[image['id'] for image in content['images']] for content in contents] == [[1, 2], [4]]
    assert {row['image_id'] for content in contents for row in content['annotations']} <= {1, 2, 4}
    changed = with_annotation_files(cfg.data.train, paths)
    assert [part.ann_file for part in changed.datasets] == paths
    assert [part.ann_file for part in cfg.data.train.datasets] != paths
    with pytest.raises(UserError, match='reads proposals'):
        with_annotation_files(
            dict(type='ConcatDataset', datasets=[cfg.data.train.datasets[0] | dict(proposal_file='a')]), paths
        )


def test_detectors_train_on_the_other_folds_and_a_second_run_reads_what_is_there(small, tmp_path, monkeypatch):
    cfg, _ = small
    sources = sources_of(cfg)
    found = train_folds(cfg, sources, 2, tmp_path)
    assert [len(part) for part in found] == [6, 4]
    assert all(len(result) == 3 and result[0].shape[1] == 5 for part in found for result in part)
    seen = []
    for fold in range(2):
        parts = [
            json.loads((tmp_path / f'fold_{fold}/{kind}/0_real.json').read_text()) for kind in ('train', 'held_out')
        ]
        train, held_out = ({image['id'] for image in part['images']} for part in parts)
        assert train | held_out == set(range(1, 7)) and not train & held_out
        seen += held_out
    assert sorted(seen) == list(range(1, 7))

    checkpoints = [str(tmp_path / f'fold_{fold}/latest.pth') for fold in range(2)]
    again = checkpoint_folds(cfg, sources, checkpoints, tmp_path / 'other')
    for one, other in zip([r for part in found for r in part], [r for part in again for r in part]):
        assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(one, other))

    monkeypatch.setattr(folds_module, 'train_fold', None)  # would fail if it were called
    resumed = train_folds(cfg, sources, 2, tmp_path)
    assert all(np.array_equal(a[k], b[k]) for s in range(2) for a, b in zip(found[s], resumed[s]) for k in range(3))
    cfg = cfg._cfg_dict.copy()
    with pytest.raises(UserError, match='folds of other settings'):
        train_folds(load_config(small[1] / 'mixture.py'), sources, 3, tmp_path)


def test_results_are_read_for_each_data_set_or_for_all(small, tmp_path):
    sources = sources_of(small[0])
    results = [[np.full((n, 5), n / 10), np.zeros((0, 5)), np.zeros((0, 5))] for n in range(10)]
    paths = [str(tmp_path / name) for name in ('all.pkl', 'real.npz', 'clean.npz')]
    for path, part in zip(paths, (results, results[:6], results[6:])):
        dump_plain(part, path)
    for chosen in (paths[:1], paths[1:]):
        found = read_results(chosen, sources)
        assert [[len(image[0]) for image in part] for part in found] == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9]]
    with pytest.raises(UserError, match='6 results for the 4 images of clean'):
        read_results([paths[1], paths[1]], sources)
    with pytest.raises(UserError, match='3 files of results: expected one, or one for each data set'):
        read_results(paths, sources)
    with pytest.raises(UserError, match='there are no results at'):
        read_results([str(tmp_path / 'none.pkl')], sources)
    dump_plain([part[:2] for part in results], paths[0])
    with pytest.raises(UserError, match='results of 2 classes, but the data sets of data.train have 3'):
        read_results(paths[:1], sources)
