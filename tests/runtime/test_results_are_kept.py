"""What ``tools/test.py`` checks before inference, and that an error afterwards loses no results."""

import re
import shutil

import numpy as np
import pytest
from process import python

from mmdet.apis.results import check_formatting, format_all, kept_results
from mmdet.datasets import build_dataset
from mmdet.utils.plain_data import load_plain


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (('--eval', 'mAP'), "--eval: CocoDataset has no metric 'mAP'"),
        (('--eval', 'bbox', '--eval-options', 'clazzwise=True'), "nothing reads 'clazzwise'; did you mean 'classwise'"),
        (('--format-only',), '--eval-options jsonfile_prefix=PATH'),
        (('--out', 'results.txt'), '--out must end in .npz'),
        (('--eval', 'bbox', '--cfg-options', 'model.test_cfg.rcnn.score_thresh=0.3'), "did you mean 'score_thr'"),
    ],
)
def test_wrong_options_are_told_in_one_line_before_inference(tiny_run, options, text):
    done = python('tools/test.py', tiny_run / 'tiny.py', tiny_run / 'work/latest.pth', *options, check=False)
    assert done.returncode == 1 and text in done.stderr.strip().splitlines()[-1]


def test_error_in_the_evaluation_keeps_the_results(tmp_path, capsys):
    with pytest.raises(KeyError), kept_results([[1, 2], [3]], tmp_path, None):
        raise KeyError('metric')
    (path,) = tmp_path.glob('results_*.npz')
    assert load_plain(path) == [[1, 2], [3]] and str(path) in capsys.readouterr().out.splitlines()[-1]


def test_results_that_nobody_asked_for_go_after_the_evaluation(tmp_path):
    with kept_results([1], tmp_path, None):
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())
    with kept_results([1], tmp_path, str(tmp_path / 'wanted.npz')):
        pass
    assert load_plain(tmp_path / 'wanted.npz') == [1]


@pytest.fixture
def broken(tiny_run, tmp_path):
    """Options for images of which the fifth is cut off behind its header."""
    shutil.copytree(tiny_run / 'img', tmp_path / 'img')
    path = tmp_path / 'img/4.png'
    path.write_bytes(path.read_bytes()[:60])
    return ('--cfg-options', f'data.test.img_prefix={tmp_path}/img', 'audit.enable=False')


def run_test(tiny_run, work, *options, check=True):
    command = (
        'tools/test.py',
        tiny_run / 'tiny.py',
        tiny_run / 'work/latest.pth',
        '--work-dir',
        work,
        '--eval',
        'bbox',
    )
    return python(*command, *options, check=check)


def test_broken_image_is_named_and_the_results_so_far_are_kept(tiny_run, tmp_path, broken):
    done = run_test(tiny_run, tmp_path / 'work', *broken, check=False)
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert re.search(r'img/4\.png .*image 4 of .*skip_broken=True .*\(tools/test\.py --skip-broken\)', last)
    (path,) = (tmp_path / 'work').glob('part_of_results_*.npz')
    assert len(load_plain(path)) == 4
    assert f'the results of the first 4 of 8 images are kept: {path}' in done.stdout


def test_broken_image_is_left_out_by_option(tiny_run, tmp_path, broken):
    out = tmp_path / 'out.npz'
    done = run_test(tiny_run, tmp_path / 'work', '--skip-broken', '--out', out, *broken)
    assert 'skip_broken: 1 of 8 images are left out: ' in done.stderr and 'img/4.png' in done.stderr
    assert 'bbox_mAP' in done.stdout and len(load_plain(out)) == 7


def test_broken_image_counts_in_no_figure(tiny_data, tmp_path):
    shutil.copytree(tiny_data / 'img', tmp_path / 'img')
    (tmp_path / 'img/4.png').write_bytes(b'')
    cfg = dict(source(tiny_data), img_prefix=str(tmp_path / 'img'), pipeline=[dict(type='LoadImageFromFile')])
    whole, left = build_dataset(cfg), build_dataset(dict(cfg, skip_broken=True))
    truths = [whole.get_ann_info(i) for i in range(8)]
    perfect = [
        [np.hstack([t['bboxes'], np.ones((len(t['bboxes']), 1))])[t['labels'] == label] for label in range(2)]
        for t in truths
    ]
    assert left.evaluate([*perfect[:4], *perfect[5:]], metric='bbox', logger='silent')['bbox_mAP'] == 1.0
    perfect[4] = [np.zeros((0, 5))] * 2
    # image 4 has one of the three red boxes: 67 of the 101 points of recall
    assert whole.evaluate(perfect, metric='bbox', logger='silent')['bbox_mAP'] == pytest.approx(
        (1 + 67 / 101) / 2, abs=1e-3
    )


def source(folder):
    return dict(
        type='CocoDataset',
        classes=('red', 'green'),
        ann_file=str(folder / 'ann.json'),
        img_prefix=str(folder / 'img'),
        pipeline=[],
        test_mode=True,
    )


def test_joined_data_sets_write_one_file_each(tiny_data, tmp_path):
    dataset = build_dataset(dict(type='ConcatDataset', datasets=[source(tiny_data), source(tiny_data)]))
    options = dict(jsonfile_prefix=str(tmp_path / 'out'))
    check_formatting(dataset, options)
    empty = [[np.zeros((0, 5))] * 2] * len(dataset)
    format_all(dataset, empty, options)
    assert len(list(tmp_path.glob('out.*.bbox.json'))) == 2
