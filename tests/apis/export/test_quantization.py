"""Exported files of 8 bits: nearly the same results, from fewer bytes."""

import json

import cv2
import numpy as np
import pytest
from export_cases import CLASSES, config_of, retinanet

from mmdet.apis import inference_detector
from mmdet.apis.export import (
    ExportError,
    ExportOptions,
    ONNXDetector,
    export_detector,
    quantization,
    quantize_onnx,
    requirements,
)

pytestmark = pytest.mark.skipif(
    requirements.torch_release() < requirements.LEAST_TORCH, reason='the exporter needs a newer torch'
)
IMAGES = 6


@pytest.fixture(scope='module')
def cfg(tmp_path_factory):
    """A config whose training set has a few images of noise."""
    folder = tmp_path_factory.mktemp('images')
    images = []
    for i in range(IMAGES):
        pixels = np.random.RandomState(i).randint(0, 255, (150, 210, 3), np.uint8)
        cv2.imwrite(str(folder / f'{i}.png'), pixels)
        images.append(dict(id=i + 1, file_name=f'{i}.png', height=150, width=210))
    categories = [dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)]
    (folder / 'train.json').write_text(json.dumps(dict(images=images, annotations=[], categories=categories)))
    cfg = config_of(retinanet(levels=1))
    train = dict(type='CocoDataset', classes=CLASSES, ann_file=str(folder / 'train.json'), img_prefix=str(folder))
    cfg.data.train = dict(type='RepeatDataset', times=3, dataset=dict(**train, pipeline=[]))
    return cfg


@pytest.fixture(scope='module')
def plain_file(one_level, tmp_path_factory):
    path = tmp_path_factory.mktemp('plain') / 'model.onnx'
    export_detector(one_level, path, ExportOptions(batch_size=1, size=(160, 224), dynamic_size=False))
    return path


def test_8_bit_file_finds_nearly_the_same(plain_file, cfg, tmp_path):
    metadata = quantize_onnx(plain_file, tmp_path / 'model_int8.onnx', cfg, images=4)
    assert metadata['quantized'] == 4 and metadata['classes'] == list(CLASSES)
    plain, small = ONNXDetector(plain_file, cfg), ONNXDetector(tmp_path / 'model_int8.onnx', cfg)
    image = np.random.RandomState(9).randint(0, 255, (150, 210, 3), np.uint8)
    wanted, found = (np.concatenate(inference_detector(model, image)) for model in (plain, small))
    assert len(wanted) and abs(len(wanted) - len(found)) <= max(2, len(wanted) // 4)
    assert abs(wanted[:, 4].mean() - found[:, 4].mean()) < 0.05
    assert not np.array_equal(wanted, found)
    with pytest.raises(ExportError, match='is quantised already'):
        quantize_onnx(tmp_path / 'model_int8.onnx', tmp_path / 'again.onnx', cfg)


@pytest.mark.parametrize(('images', 'expected'), [(3, [0, 2, 5]), (100, [0, 1, 2, 3, 4, 5])])
def test_images_are_evenly_chosen_from_the_training_sets(plain_file, cfg, images, expected):
    feeds = list(quantization.calibration_feeds(ONNXDetector(plain_file, cfg), images))
    assert [set(feed) for feed in feeds] == [{'input', 'sizes'}] * len(expected)
    mean, std = 123.675, 58.395
    for feed, i in zip(feeds, expected):
        pixels = np.random.RandomState(i).randint(0, 255, (150, 210, 3), np.uint8)
        resized = cv2.resize(pixels, (224, 160))
        np.testing.assert_allclose(feed['input'][0, 0], (resized[..., 2] - mean) / std, rtol=1e-4, atol=1e-4)


def test_a_file_for_any_number_of_images_is_refused(one_stage_file, cfg, tmp_path):
    with pytest.raises(ExportError, match='--batch-size 1'):
        quantize_onnx(one_stage_file, tmp_path / 'out.onnx', cfg)
    with pytest.raises(ExportError, match='another file'):
        quantize_onnx(one_stage_file, one_stage_file, cfg)
