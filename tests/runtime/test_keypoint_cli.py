"""Keypoint R-CNN by the commands: trained in stages, tested, drawn, and asked about single images."""

import importlib.util
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny import ROOT, SIDE, draw_data, write_config

from mmdet.apis import inference_detector, init_detector, show_result_pyplot

KEYPOINTS = """
roi = dict(type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2),
           out_channels=16, featmap_strides=[4, 8, 16, 32])
model['type'] = 'KeypointRCNN'
model['roi_head'].update(
    type='KeypointRoIHead', keypoint_roi_extractor=roi,
    keypoint_head=dict(type='FCNKeypointHead', num_keypoints=5, num_convs=1, roi_feat_size=7, in_channels=16,
                       conv_out_channels=16, skeleton='shape'),
    mask_roi_extractor=roi,
    mask_head=dict(type='FCNMaskHead', num_convs=1, in_channels=16, conv_out_channels=16, num_classes=2))
model['train_cfg']['rcnn']['mask_size'] = 14
model['test_cfg']['rcnn']['mask_thr_binary'] = 0.5
train_pipeline[1] = dict(type='LoadAnnotations', with_bbox=True, with_mask=True, with_keypoints=True)
train_pipeline[-1]['keys'] = ['img', 'gt_bboxes', 'gt_labels', 'gt_bboxes_ignore', 'gt_masks', 'gt_keypoints']
for split in ('train', 'val', 'test'):
    data[split].update(type='CocoKeypointDataset', skeleton='shape')
runner['max_epochs'] = 1
evaluation = dict(metric=['bbox', 'segm', 'keypoints'])
proposing = ['backbone', 'neck', 'rpn_head']
stages = [
    dict(name='rpn', detector='RPN'),
    dict(name='detector', weights=dict(rpn=''), frozen=proposing),
    dict(name='whole', detector='FastRCNN', proposals='rpn', weights=dict(detector='')),
]
"""


def tool(name):
    spec = importlib.util.spec_from_file_location(f'tool_{name}', ROOT / f'tools/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, *arguments):
    tool(name).main([str(argument) for argument in arguments])


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> Path:
    """A folder with data, config and ``work``, where a detector was trained in three stages."""
    folder = tmp_path_factory.mktemp('keypoints')
    draw_data(folder)
    content = json.loads((folder / 'ann.json').read_text())
    for ann in content['annotations']:
        x, y, w, h = ann['bbox']
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x + w / 2, y + h / 2)]
        ann['keypoints'] = [number for point in corners for number in (*point, 2)]
        ann['segmentation'] = [[number for point in corners[:4] for number in point]]
    (folder / 'ann.json').write_text(json.dumps(content))
    config = write_config(folder, KEYPOINTS)
    run('train_stages', config, '--work-dir', folder / 'work', '--seed', 0)
    return folder


def test_stages_leave_a_table_and_frozen_parts_as_they_were(trained):
    rows = json.loads((trained / 'work/stages.json').read_text())['rows']
    assert [row['stage'] for row in rows] == ['rpn', 'detector', 'whole', 'final']
    assert all('keypoints_mAP' in row['figures'] and 'segm_mAP' in row['figures'] for row in rows[1:])
    assert 'AR@100' in rows[0]['figures'] and 'keypoints_mAP' in (trained / 'work/stages.md').read_text()
    rpn, detector = (
        torch.load(trained / f'work/{name}/latest.pth', weights_only=True)['state_dict'] for name in ('rpn', 'detector')
    )
    assert rpn and all(torch.equal(value, detector[key]) for key, value in rpn.items())
    assert any(key.startswith('roi_head.keypoint_head') for key in detector)


def test_commands_evaluate_write_and_draw(trained, tmp_path, monkeypatch):
    config, weights = trained / 'tiny.py', trained / 'work/final.pth'
    run('test', config, weights, '--out', tmp_path / 'r.pkl', '--eval', 'keypoints', 'bbox', '--work-dir', tmp_path,
        '--show-dir', tmp_path / 'shown', '--show-score-thr', '0.1')  # fmt: skip
    (report,) = tmp_path.glob('eval_*.json')
    assert {'bbox_mAP', 'keypoints_mAP'} <= set(json.loads(report.read_text())['metric'])
    results = pickle.loads((tmp_path / 'r.pkl').read_bytes())
    assert len(results) == 8
    boxes, masks, keypoints = results[0]
    assert [k.shape for k in keypoints] == [(len(b), 5, 3) for b in boxes] and sum(map(len, boxes)) > 0
    assert all(mask['size'] == [SIDE, SIDE] for of_class in masks for mask in of_class)
    assert len(list((tmp_path / 'shown').glob('*.png'))) == 8

    run('test', config, weights, '--format-only', '--eval-options', f'jsonfile_prefix={tmp_path}/f')
    entries = json.loads((tmp_path / 'f.keypoints.json').read_text())
    assert all(len(entry['keypoints']) == 15 and len(entry['bbox']) == 4 for entry in entries) and entries
    assert (tmp_path / 'f.bbox.json').exists() and (tmp_path / 'f.segm.json').exists()


def test_single_images_are_detected_and_drawn_with_skeletons(trained, tmp_path):
    model = init_detector(str(trained / 'tiny.py'), str(trained / 'work/final.pth'), device='cpu')
    image = cv2.imread(str(trained / 'img/0.png'))
    one, two = inference_detector(model, [image, str(trained / 'img/1.png')])
    assert [len(part) for part in one] == [len(part) for part in two] == [2, 2, 2]
    box = np.array([[10, 10, 50, 50, 0.9]], np.float32)
    points = np.array([[[10, 10, 1], [50, 10, 1], [50, 50, 1], [10, 50, 0], [30, 30, 1]]], np.float32)
    nothing = np.zeros((0, 5), np.float32), np.zeros((0, 5, 3), np.float32)
    drawn = tmp_path / 'a.png'
    show_result_pyplot(model, image, ([box, nothing[0]], None, [points, nothing[1]]), out_file=str(drawn))
    changed = (cv2.imread(str(drawn)) != image).any(2)
    assert changed[30, 30] and changed[20, 20] and changed[40, 40]  # the centre, and the lines to the corners
    assert not changed[40, 20]  # the line to the point that is not there


def test_views_scaled_and_mirrored_are_merged(trained):
    options = {'data.test.pipeline.1.flip': True, 'data.test.pipeline.1.img_scale': [(64, 64), (96, 96)]}
    model = init_detector(str(trained / 'tiny.py'), str(trained / 'work/final.pth'), 'cpu', options)
    boxes, masks, keypoints = inference_detector(model, cv2.imread(str(trained / 'img/0.png')))
    assert [k.shape for k in keypoints] == [(len(b), 5, 3) for b in boxes] and sum(map(len, boxes)) > 0
    for b, k in zip(boxes, keypoints):
        assert (k[..., 0] >= b[:, :1] - 1e-3).all() and (k[..., 0] <= b[:, 2:3] + 1e-3).all()
