"""The report of a finished training, run as a process on a made log and made results."""

import json
import pickle

import cv2
import numpy as np
import pytest
from process import ROOT, python

from mmdet.utils.running.json_log import global_iterations, latest_json_log, read_json_log


@pytest.fixture
def finished(tmp_path):
    """A work folder with a log, results that equal the ground truth, and the data set that they belong to."""
    images = [dict(id=i, file_name=f'{i}.png', width=64, height=48) for i in range(3)]
    box = dict(category_id=1, bbox=[8, 8, 20, 16], area=320, iscrowd=0)
    coco = dict(
        images=images,
        annotations=[dict(box, id=i + 1, image_id=i) for i in range(3)],
        categories=[dict(id=1, name='thing')],
    )
    (tmp_path / 'ann.json').write_text(json.dumps(coco))
    for image in images:
        cv2.imwrite(str(tmp_path / image['file_name']), np.full((48, 64, 3), 90, np.uint8))
    test = dict(type='CocoDataset', classes=('thing',), ann_file=f'{tmp_path}/ann.json', img_prefix=f'{tmp_path}/')
    (tmp_path / 'config.py').write_text(f'data = dict(test=dict(pipeline=[], **{test!r}))\n')
    rows = [dict(env_info='x')]
    for epoch in (1, 2):
        rows += [dict(mode='train', epoch=epoch, iter=i, loss_cls=1.0 / epoch, loss=2.0 / epoch) for i in (5, 10)]
        rows += [dict(mode='val', epoch=epoch, iter=3, bbox_mAP=0.1, bbox_mAP_50=0.2, bbox_mAP_75=0.1)]
    (tmp_path / '1.log.json').write_text('\n'.join(map(json.dumps, rows)) + '\n{"mode": "tra')
    detection = np.array([[8, 8, 28, 24, 0.9]], np.float32)
    (tmp_path / 'results.pkl').write_bytes(pickle.dumps([[detection]] * 3))
    return tmp_path


def report(folder):
    script = ROOT / 'tools' / 'analysis_tools' / 'training_report.py'
    results = folder / 'results.pkl'
    return python(script, folder / 'config.py', folder, '--results', results, '--pictures', 2, check=False)


def test_report_links_files_that_exist_and_states_the_figures(finished):
    run = report(finished)
    assert run.returncode == 0, run.stderr
    text = (finished / 'report.md').read_text()
    assert '| AP at IoU 0.50:0.95 | 1.000 |' in text
    links = [part.split(')')[0] for part in text.split('](')[1:]]
    assert len(links) == 4
    assert all((finished / link).stat().st_size for link in links)


def test_report_of_other_data_says_so(finished):
    (finished / 'results.pkl').write_bytes(pickle.dumps([]))
    assert '0 results for the 3 images' in report(finished).stderr


def test_log_iterations_go_on_over_epochs_and_a_torn_last_line_is_passed_over(finished):
    rows = read_json_log(latest_json_log(finished))
    assert global_iterations(rows) == [5, 10, 15, 20]
    assert [row['mode'] for row in rows].count('val') == 2


def test_log_with_a_broken_line_in_the_middle_names_it(tmp_path):
    (tmp_path / 'a.log.json').write_text('{}\nnot json\n{}\n')
    with pytest.raises(ValueError, match='line 2'):
        read_json_log(latest_json_log(tmp_path))


def test_log_missing_says_what_to_configure(tmp_path):
    with pytest.raises(FileNotFoundError, match='TextLoggerHook'):
        latest_json_log(tmp_path)
