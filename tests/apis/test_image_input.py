"""Arrays and files on their way into a test pipeline."""

import cv2
import numpy as np
import pytest

from mmdet.apis.image_input import ImagePipeline, ImageSourceError, as_bgr, check_image_file, images_below
from mmdet.core.visualization import read_image

NORM = dict(type='Normalize', mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0], to_rgb=False)
REST = [NORM, dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img'], meta_keys=('ori_shape',))]
# a JPEG segment with one entry: orientation 6, to be turned a quarter clockwise
EXIF = b'\xff\xe1\x00\x22Exif\x00\x00MM\x00*\x00\x00\x00\x08' + bytes([0, 1, 1, 18, 0, 3, 0, 0, 0, 1, 0, 6] + 6 * [0])


def pipeline(**loading):
    return ImagePipeline([dict(type='LoadImageFromFile', **loading), *REST])


def pixels_in(sample):
    return sample['img'].data.permute(1, 2, 0).numpy()


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize('name', ['grey', 'grey3', 'bgra', '16 bit', '16 bit grey', 'int64'])
def test_array_becomes_what_its_file_becomes(name, colours, tmp_path):
    deep = colours.astype(np.uint16) * 257 - np.minimum(colours, 100)
    image = {
        'grey': colours[..., 0],
        'grey3': colours[..., :1],
        'bgra': np.concatenate([colours, colours[..., :1]], axis=2),
        '16 bit': deep,
        '16 bit grey': deep[..., 0],
        'int64': colours,
    }[name]
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    array = image.astype(np.int64) if name == 'int64' else image
    from_file = pixels_in(pipeline().sample(tmp_path / 'a.png'))
    np.testing.assert_array_equal(pixels_in(pipeline().sample(array)), from_file)
    assert from_file.shape == (6, 8, 3)


def test_channel_order_of_the_loading_step_holds_for_arrays(colours, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), colours)
    rgb = pipeline(channel_order='rgb')
    np.testing.assert_array_equal(rgb.pixels(colours), colours[..., ::-1])
    np.testing.assert_array_equal(rgb.pixels(colours), rgb.pixels(tmp_path / 'a.png'))


def test_arrays_of_other_loading_steps_stay_as_they_are(colours):
    assert pipeline(color_type='unchanged').pixels(colours[..., :2]).shape == (6, 8, 2)


@pytest.mark.parametrize('shape', [(3, 8, 8), (8, 8, 2), (8,), (0, 8, 3), (1, 8, 8, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ImageSourceError, match='an image of shape .*expected .H, W.'):
        as_bgr(np.zeros(shape, np.uint8))


def test_other_numbers_are_refused_and_small_floats_reported(colours):
    with pytest.raises(ImageSourceError, match='an image of int32; expected uint8, uint16'):
        as_bgr(colours.astype(np.int32) - 1)
    with pytest.warns(UserWarning, match='floats up to 1 is nearly black'):
        as_bgr(colours / 255)
    assert as_bgr(colours.astype(np.float32)).dtype == np.float32


def test_stored_rotation_is_left_aside_where_the_config_says_so(colours, tmp_path):
    path = tmp_path / 'turned.jpg'
    content = cv2.imencode('.jpg', colours)[1].tobytes()
    path.write_bytes(content[:2] + EXIF + content[2:])
    sizes = {}
    for color_type in ('color', 'color_ignore_orientation', 'unchanged'):
        steps = [dict(type='LoadImageFromFile', color_type=color_type), *REST]
        drawn_on = read_image(path, steps)
        assert drawn_on.shape == ImagePipeline(steps).pixels(path).shape  # what is drawn is what was seen
        sizes[color_type] = drawn_on.shape[:2]
    assert sizes == {'color': (8, 6), 'color_ignore_orientation': (6, 8), 'unchanged': (6, 8)}
    assert read_image(path).shape[:2] == (8, 6)


def test_folder_is_searched_in_order_but_for_an_old_output(colours, tmp_path):
    for name in ('b.PNG', 'sub/a.jpg', 'out/c.png', 'notes.md'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'')
    found = images_below(tmp_path, except_below=tmp_path / 'out')
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ['b.PNG', 'sub/a.jpg']
    (tmp_path / 'none').mkdir()
    with pytest.raises(ImageSourceError, match='none has no image in it; images end in .jpg'):
        images_below(tmp_path / 'none')


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'')
    with pytest.raises(ImageSourceError, match='a.mp4 is a video; tools/predict.py takes it'):
        check_image_file(tmp_path / 'a.mp4')
    with pytest.raises(ImageSourceError, match='is a folder among images'):
        check_image_file(tmp_path)
    with pytest.raises(FileNotFoundError, match='image file not found: .*b.png'):
        check_image_file(tmp_path / 'b.png')
    with pytest.raises(ImageSourceError, match='expected a path or an array .H, W, 3. as an image, got float'):
        pipeline().sample(3.0)


def test_a_step_that_refuses_an_image_is_an_error(colours):
    picky = pipeline()
    picky._rest = [lambda results: None]
    with pytest.raises(ImageSourceError, match='a step of the test pipeline refuses this image'):
        picky.sample_of_pixels(colours)
