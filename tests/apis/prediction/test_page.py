"""What the page of tools/serve.py shows."""

import sys

import numpy as np
import pytest

from mmdet.apis import inference_detector, init_detector
from mmdet.apis.prediction.page import MissingPackageError, Page, build_page

SMALL = {
    'model.backbone.base_channels': 8,
    'model.backbone.stem_channels': 8,
    'model.neck.in_channels': [8, 16, 32, 64],
    'model.test_cfg.rcnn.score_thr': 0.0,
    'model.test_cfg.rcnn.max_per_img': 8,
}
CONFIG = 'configs/demo/faster_rcnn_r18_fpn_mixed.py'


@pytest.fixture(scope='module')
def model(request):
    return init_detector(request.config.rootpath / CONFIG, None, device='cpu', cfg_options=SMALL)


@pytest.fixture(scope='module')
def image():
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def test_picture_and_rows_follow_the_threshold_without_another_pass(model, image, monkeypatch):
    page = Page(model)
    seen = page.detect(image)  # RGB
    result = inference_detector(model, image[..., ::-1])
    expected = sorted(((score, n) for n, boxes in enumerate(result) for score in boxes[:, 4].tolist()), reverse=True)
    monkeypatch.setattr(model, 'simple_test', None)  # a second pass would fail
    picture, rows = page.show(seen, 0.0)
    assert [row[:2] for row in rows] == [[model.CLASSES[n], round(score, 3)] for score, n in expected]
    assert picture.shape == image.shape and (picture != image).any()
    threshold = (expected[2][0] + expected[3][0]) / 2
    assert page.show(seen, threshold)[1] == rows[:3]
    picture, rows = page.show(seen, 1.0)
    np.testing.assert_array_equal(picture, image)  # nothing is drawn, and colours are those that came
    assert rows == []


def test_grey_images_and_those_with_an_alpha_channel_are_seen_as_they_are(model, image):
    page, grey = Page(model), image[..., 0]
    seen = page.detect(np.repeat(grey[..., None], 3, 2)).detections.boxes
    for same in (grey, grey[..., None], np.dstack([grey, grey, grey, np.full_like(grey, 255)])):
        np.testing.assert_array_equal(page.detect(same).detections.boxes, seen)
    coloured = page.detect(np.dstack([image, np.full_like(grey, 255)])).detections.boxes
    np.testing.assert_array_equal(coloured, page.detect(image).detections.boxes)


def test_no_image_shows_nothing(model):
    page = Page(model)
    assert page.show(page.detect(None), 0.3) == (None, [])


def test_missing_gradio_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    with pytest.raises(MissingPackageError, match='needs the package gradio: pip install .gradio>=6'):
        build_page(model)
