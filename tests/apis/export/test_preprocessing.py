"""Files that take images as they were read: what they do to them is what the test pipeline does."""

import cv2
import numpy as np
import pytest
import torch
from export_cases import NORM, PIPELINE, config_of, retinanet
from torch import nn

from mmdet.apis import inference_detector
from mmdet.apis.export import ExportError, ExportOptions, ONNXDetector, fed_config, requirements
from mmdet.apis.export.files import _steps, traced_module
from mmdet.apis.export.preprocessing import ImageInput, fitted_size, read_preprocessing
from mmdet.datasets.pipelines import Compose


def smooth(height, width):
    noise = np.random.RandomState(height).randint(0, 255, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 0)


def steps_of(**changes):
    """The steps of a test pipeline; ``changes`` replaces arguments of those named."""
    return [{**step, **changes.get(step['type'], {})} for step in _steps(PIPELINE)]


class Nothing(nn.Module):
    """A network that finds nothing."""

    names, detector = (), nn.Identity()


def sides_of(height, width):
    return torch.tensor([height, width], dtype=torch.float64)


@pytest.mark.parametrize('colour', ['bgr', 'rgb'])
@pytest.mark.parametrize(('height', 'width'), [(100, 150), (333, 500), (97, 131), (480, 300), (160, 224)])
def test_images_are_those_of_the_pipeline(height, width, colour):
    image = smooth(height, width)
    pipeline = Compose([dict(type='LoadImageFromWebcam'), *PIPELINE[1:]])
    wanted, meta = (value[0] for value in map(pipeline(dict(img=image)).get, ('img', 'img_metas')))
    steps = read_preprocessing(steps_of())
    part = ImageInput(Nothing(), steps, tuple(wanted.shape[1:]), colour)
    size = fitted_size(sides_of(height, width), steps, part.canvas)
    assert size.tolist() == list(meta.data['img_shape'][:2])
    fed = image if colour == 'bgr' else np.ascontiguousarray(image[..., ::-1])
    found = part.normalised(torch.from_numpy(fed)[None], size)[0]
    levels = (found - wanted).abs() * torch.tensor(NORM['std'])[:, None, None]
    assert levels.max() < 1.01 and levels.mean() < 0.2  # OpenCV reckons with 11 bits


@pytest.mark.parametrize(
    ('sides', 'canvas', 'expected'),
    [
        ((100, 150), (160, 224), [149, 224]),  # 224 / 150 bounds it
        ((100, 100), (160, 224), [160, 160]),
        ((300, 200), (160, 224), [160, 107]),  # would be 224 x 149, which the canvas cannot hold
        ((1, 500), (160, 224), [1, 224]),  # never without pixels
    ],
)
def test_an_image_fits_the_canvas(sides, canvas, expected):
    assert fitted_size(sides_of(*sides), read_preprocessing(steps_of()), canvas).tolist() == expected


def test_sides_are_as_given_where_the_ratio_is_not_kept():
    steps = read_preprocessing(steps_of(Resize=dict(keep_ratio=False)))
    assert fitted_size(sides_of(300, 200), steps, steps.canvas()).tolist() == [160, 224]
    assert steps.canvas() == (160, 224)


def test_padding_before_the_normalisation_is_normalised():
    first, second = steps_of(), steps_of(Pad=dict(pad_val=dict(img=114)))
    pad = next(i for i, step in enumerate(second) if step['type'] == 'Pad')
    second.insert(pad - 1, second.pop(pad))
    assert read_preprocessing(first).fill == (0, 0, 0)
    wanted = (114 - np.array(NORM['mean'])) / NORM['std']
    np.testing.assert_allclose(read_preprocessing(second).fill, wanted)


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        (dict(Pad=dict(type='RandomCrop', crop_size=(8, 8))), 'the step RandomCrop of the test pipeline'),
        (dict(MultiScaleFlipAug=dict(img_scale=[(8, 8), (9, 9)])), 'expected one img_scale of two sides'),
        (dict(Resize=dict(interpolation='nearest')), "interpolation 'nearest'"),
        (dict(Pad=dict(size_divisor=None, size=(8, 8))), 'Pad by a size'),
    ],
)
def test_what_has_no_form_is_named(changes, text):
    with pytest.raises(ExportError, match=text):
        read_preprocessing(steps_of(**changes))


def test_other_colours_are_refused():
    with pytest.raises(ExportError, match="bgr, rgb, got 'grey'"):
        ImageInput(Nothing(), read_preprocessing(steps_of()), (32, 32), 'grey')


@pytest.mark.skipif(requirements.torch_release() < requirements.LEAST_TORCH, reason='the exporter needs a newer torch')
@torch.no_grad()
def test_a_file_takes_images_as_they_were_read(one_stage, raw_images_file):
    detector = ONNXDetector(raw_images_file, one_stage.cfg)
    about = detector.metadata
    assert about['canvas'] == [160, 224] and about['outputs'] == ['dets', 'labels', 'sizes']
    module = traced_module(one_stage, ExportOptions(preprocessing='rgb'))
    found = 0
    for height, width in ((90, 140), (140, 90)):
        image = np.random.RandomState(0).randint(0, 255, (height, width, 3), np.uint8)
        fed = torch.from_numpy(np.ascontiguousarray(image[None, ..., ::-1]))
        dets, labels, sizes = module(fed)
        boxes = np.concatenate(inference_detector(detector, image))
        wanted = dets[labels >= 0]
        assert sizes.tolist() == [[144, 224] if width > height else [160, 103]] and len(boxes) == len(wanted)
        np.testing.assert_allclose(np.sort(boxes[:, 4]), np.sort(wanted[:, 4].numpy()), atol=1e-4)
        assert (boxes[:, :4] <= np.array([width, height] * 2) + 1e-3).all()
        found += len(boxes)
    assert found


def test_a_config_is_fed_as_the_file_asks():
    cfg = config_of(retinanet())
    assert fed_config(cfg, dict(preprocessing=None)) is cfg
    fed = fed_config(cfg, dict(preprocessing='bgr'))
    assert [step['type'] for step in fed.data.test.pipeline[1]['transforms']] == ['DefaultFormatBundle', 'Collect']
    assert len(cfg.data.test.pipeline[1].transforms) == 6
