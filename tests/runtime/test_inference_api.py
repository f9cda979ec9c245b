"""Inference on the tiny run's detector."""

import asyncio
import copy
import importlib.util
import json

import cv2
import numpy as np
import pytest
import torch
from mmcv import Config
from tiny import CLASSES, ROOT

from mmdet.apis import async_inference_detector, inference_detector, init_detector, show_result_pyplot


@pytest.fixture(scope='module')
def detector(tiny_run):
    return init_detector(tiny_run / 'tiny.py', str(tiny_run / 'work/latest.pth'))


@pytest.fixture(scope='module')
def demo():
    spec = importlib.util.spec_from_file_location('image_demo', ROOT / 'demo/image_demo.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same(first, second):
    return all(np.allclose(a, b, atol=1e-4) for a, b in zip(first, second, strict=True))


def test_path_array_and_list_give_the_same_and_leave_the_config_alone(detector, tiny_run):
    path = tiny_run / 'img/1.png'
    image = cv2.imread(str(path))
    before = copy.deepcopy(detector.cfg._cfg_dict)
    one = inference_detector(detector, str(path))
    assert len(one) == 2 and one[0].shape[1] == 5 and sum(map(len, one)) > 0
    assert same(one, inference_detector(detector, image)) and same(one, inference_detector(detector, path))
    many = inference_detector(detector, [image, str(tiny_run / 'img/7.png'), str(path)])
    assert len(many) == 3 and same(many[0], one) and same(many[2], one)
    assert inference_detector(detector, []) == [] and detector.cfg._cfg_dict == before


def test_asynchronous_call_gives_the_same(detector, tiny_run):
    path = str(tiny_run / 'img/0.png')
    assert same(asyncio.run(async_inference_detector(detector, path)), inference_detector(detector, path))


def test_detector_knows_classes_and_falls_back_to_the_cpu(detector, tiny_run):
    assert tuple(detector.CLASSES) == CLASSES and not detector.training
    expected = 'cuda' if torch.cuda.is_available() else 'cpu'
    assert next(detector.parameters()).device.type == expected
    config = Config.fromfile(str(tiny_run / 'tiny.py'))
    before = copy.deepcopy(config._cfg_dict)
    fresh = init_detector(config, device='cpu', cfg_options={'fp16.dtype': 'bfloat16'})
    assert tuple(fresh.CLASSES) == CLASSES and fresh.autocast_dtype is torch.bfloat16
    assert config._cfg_dict == before
    with pytest.raises(TypeError, match='expected a path or an mmcv.Config, got int'):
        init_detector(3)


def test_picture_is_written_with_detections_on_it(detector, tiny_run, tmp_path):
    path = str(tiny_run / 'img/0.png')
    result = inference_detector(detector, path)
    show_result_pyplot(detector, path, result, score_thr=0.0, out_file=str(tmp_path / 'deep/0.png'))
    drawn = cv2.imread(str(tmp_path / 'deep/0.png'))
    assert drawn.shape == (64, 64, 3) and (drawn != cv2.imread(path)).any()


def test_demo_writes_pictures_and_coco_rows_of_a_folder(demo, tiny_run, tmp_path, capsys):
    weights = str(tiny_run / 'work/latest.pth')
    common = [str(tiny_run / 'tiny.py'), weights, '--device', 'cpu', '--score-thr', '0']
    demo.main([str(tiny_run / 'img'), *common, '--out-dir', str(tmp_path), '--batch-size', '3'])
    assert sorted(p.name for p in tmp_path.glob('*.png')) == [f'{i}.png' for i in range(8)]
    rows = json.loads((tmp_path / 'detections.json').read_text())
    assert {(row['image_id'], row['file_name']) for row in rows} == {(i + 1, f'{i}.png') for i in range(8)}
    assert {row['category_id'] for row in rows} <= {1, 2} and {row['category_name'] for row in rows} <= set(CLASSES)
    assert all(row['bbox'][2] > 0 and row['bbox'][0] + row['bbox'][2] <= 64.01 for row in rows)
    assert f'{len(rows)} detections' in capsys.readouterr().out


def test_demo_says_what_is_missing(demo, tiny_run, tmp_path):
    files = [str(tiny_run / 'tiny.py'), str(tiny_run / 'work/latest.pth')]
    with pytest.raises(ValueError, match='has no image in it'):
        demo.main([str(tmp_path), *files])
    with pytest.raises(ValueError, match='there is no file c.py'):
        demo.main([str(tiny_run / 'img/0.png'), 'c.py', 'k.pth'])
    with pytest.raises(ValueError, match='use --out-dir'):
        demo.main([str(tiny_run / 'img'), *files, '--out-file', 'x.png'])
