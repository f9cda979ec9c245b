"""What ``tools/test.py`` checks before inference, and that an error afterwards loses no results."""

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
