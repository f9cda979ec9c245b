"""tools/predict.py and the scripts of demo/ on the tiny run's detector."""

import importlib.util
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from tiny import CLASSES, ROOT

from mmdet.apis import inference_detector, init_detector
from mmdet.apis.error_texts import UserError
from mmdet.apis.prediction import Item, Predictor, Tiling, flatten_result, merge_tiles, open_source, tile_windows
from mmdet.apis.prediction.command import main as predict


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / f'demo/{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def model_files(tiny_run):
    return [str(tiny_run / 'tiny.py'), str(tiny_run / 'work/latest.pth')]


@pytest.fixture(scope='module')
def detector(model_files):
    return init_detector(*model_files, device='cpu')


@pytest.fixture(scope='module')
def folder(tiny_run, tmp_path_factory):
    """Two images, one of them in a sub-folder, a broken one, and a video of three frames."""
    folder = tmp_path_factory.mktemp('inputs')
    (folder / 'sub').mkdir()
    images = [cv2.imread(str(tiny_run / f'img/{i}.png')) for i in range(3)]
    cv2.imwrite(str(folder / '0.png'), images[0])
    cv2.imwrite(str(folder / 'sub/1.png'), images[1])
    (folder / 'broken.png').write_bytes(b'no image')
    writer = cv2.VideoWriter(str(folder / 'clip.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 10, (64, 64))
    for image in images:
        writer.write(image)
    writer.release()
    return folder


def count(result, score_thr=0.0):
    return len(flatten_result(result, score_thr))


def test_folder_goes_through_with_a_broken_file_named(folder, model_files, detector, tmp_path, capsys):
    saved = ['--save', 'json', 'csv', 'yolo', 'images', 'video']
    predict([str(folder), *model_files, '--score-thr', '0', '--batch-size', '2', '--out-dir', str(tmp_path), *saved])
    text = capsys.readouterr()
    assert 'skipped: cannot decode image file' in text.err and 'broken.png' in text.err
    results = [inference_detector(detector, str(folder / name)) for name in ('0.png', 'sub/1.png')]
    total = sum(map(count, results))
    assert f'{total} detections with a score of at least 0.0 in 2 images; 1 files could not be read' in text.out
    rows = json.loads((tmp_path / 'detections.json').read_text())
    assert [(row['image_id'], row['file_name']) for row in rows] == (
        [(1, '0.png')] * count(results[0]) + [(3, 'sub/1.png')] * count(results[1])
    )
    assert {row['category_name'] for row in rows} <= set(CLASSES)
    found = flatten_result(results[1])
    np.testing.assert_allclose([row['score'] for row in rows[count(results[0]) :]], found.scores, atol=1e-4)
    assert len((tmp_path / 'detections.csv').read_text().splitlines()) == total + 1
    assert len((tmp_path / 'labels/sub/1.txt').read_text().splitlines()) == count(results[1])
    assert cv2.imread(str(tmp_path / 'sub/1.png')).shape == (64, 64, 3)
    assert cv2.VideoCapture(str(tmp_path / 'detections.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 2


def test_single_image_is_printed_and_ids_come_from_annotations(folder, model_files, tiny_run, tmp_path, capsys):
    predict([str(folder / '0.png'), *model_files, '--score-thr', '0'])
    assert 'red  0.' in capsys.readouterr().out
    ann = ['--ann', str(tiny_run / 'ann.json'), '--out-dir', str(tmp_path), '--score-thr', '0', '--save', 'json']
    predict([str(tiny_run / 'img/5.png'), *model_files, *ann])
    assert {row['image_id'] for row in json.loads((tmp_path / 'detections.json').read_text())} == {5}


def test_video_demo_writes_a_video_and_keeps_its_options(folder, model_files, tmp_path):
    demo = script('video_demo')
    with pytest.raises(ValueError, match='give --out VIDEO or --show'):
        demo.main([str(folder / 'clip.avi'), *model_files])
    demo.main([str(folder / 'clip.avi'), *model_files, '--score-thr', '0', '--out', str(tmp_path / 'out.mp4')])
    video = cv2.VideoCapture(str(tmp_path / 'out.mp4'))
    assert (video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)) == (3, 10)
    drawn, plain = video.read()[1], cv2.VideoCapture(str(folder / 'clip.avi')).read()[1]
    assert drawn.shape == plain.shape and np.abs(drawn.astype(int) - plain).max() > 100


def test_nothing_that_can_be_read_is_an_error(folder, model_files, tmp_path):
    with pytest.raises(ValueError, match=r'no image could be read \(of 1\): cannot decode'):
        predict([str(folder / 'broken.png'), *model_files, '--out-dir', str(tmp_path)])


@pytest.mark.parametrize(('option', 'value'), [('--score-thr', 'nan'), ('--score-thr', '2'), ('--tile-iou-thr', 'x')])
def test_scores_and_overlaps_are_fractions(folder, model_files, option, value, capsys):
    with pytest.raises(SystemExit):
        predict([str(folder / '0.png'), *model_files, option, value])
    assert f'argument {option}: expected a number from 0 to 1, got {value}' in capsys.readouterr().err


def test_unknown_device_and_negative_time_are_named(folder, model_files):
    with pytest.raises(UserError, match=r"device 'cuba:0': expected cpu, cuda or cuda:NUMBER"):
        predict([str(folder / '0.png'), *model_files, '--device', 'cuba:0'])
    with pytest.raises(UserError, match='--wait-time must be 0 or more, got -1.0'):
        predict([str(folder / '0.png'), *model_files, '--wait-time', '-1'])


def test_video_must_not_replace_itself(folder, model_files):
    with pytest.raises(ValueError, match='clip.avi is an input'):
        predict([str(folder / 'clip.avi'), *model_files, '--out-file', str(folder / 'clip.avi')])


def test_webcam_demo_names_a_missing_camera(model_files):
    demo = script('webcam_demo')
    assert demo.parse_args(model_files).score_thr == 0.5
    with pytest.raises(ValueError, match='camera 97 is not there'):
        demo.main([*model_files, '--camera-id', '97'])


def test_gif_has_all_pictures(folder, tmp_path, capsys):
    pictures = tmp_path / 'pictures'
    for number, size in enumerate([(40, 30), (64, 64)]):
        (pictures / str(number)).mkdir(parents=True)
        Image.new('RGB', size, (200, 100 * number, 0)).save(pictures / f'{number}/a.png')
    script('create_result_gif').main([str(pictures), '--out', str(tmp_path / 'deep/all.gif')])
    gif = Image.open(tmp_path / 'deep/all.gif')
    assert (gif.n_frames, gif.size) == (2, (40, 30)) and '2 pictures' in capsys.readouterr().out
    gif.seek(1)
    assert gif.convert('RGB').getpixel((0, 0)) == (0, 0, 0) and gif.convert('RGB').getpixel((20, 15))[1] > 80


def test_tiles_find_what_their_parts_hold(detector, tiny_run):
    parts = [cv2.imread(str(tiny_run / f'img/{i}.png')) for i in range(2)]
    wide = np.concatenate(parts, axis=1)  # 64 x 128
    tiling = Tiling(64, 0.0)
    (one,) = Predictor(detector, 0.0, batch_size=2, tiling=tiling)([Item('wide.png', wide)])
    single = [flatten_result(inference_detector(detector, image)) for image in (wide, *parts)]
    expected = merge_tiles(single, tile_windows(128, 64, tiling), (128, 64), tiling.iou_thr)
    assert one.size_wh == (128, 64) and expected.boxes[:, 2].max() > 70 and len(expected) > 20
    np.testing.assert_allclose(one.detections.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_allclose(one.detections.scores, expected.scores, atol=1e-5)


def test_augmentation_is_what_such_a_config_does(detector, tiny_run, model_files):
    item = Item('0.png', tiny_run / 'img/0.png')
    (one,) = Predictor(detector, 0.0, batch_size=4, augmentation=(1.0,))([item])
    options = {'data.test.pipeline.1.flip': True}
    other = init_detector(*model_files, device='cpu', cfg_options=options)
    expected = flatten_result(inference_detector(other, str(item.image)))
    np.testing.assert_allclose(one.detections.boxes, expected.boxes, atol=1e-3)
    plain = flatten_result(inference_detector(detector, str(item.image)))
    assert len(plain) != len(expected) or np.abs(plain.scores - expected.scores).max() > 1e-4


def test_detector_that_cannot_merge_views_or_tiles_says_so(detector, tiny_run, monkeypatch):
    item = Item('0.png', cv2.imread(str(tiny_run / 'img/0.png')))

    def refuse(*args, **kwargs):
        raise NotImplementedError('one view only')

    monkeypatch.setattr(detector, 'aug_test', refuse)
    with pytest.raises(ValueError, match='FasterRCNN: one view only'):
        list(Predictor(detector, augmentation=(1.0,))([item]))
    monkeypatch.setattr(detector, 'simple_test', lambda imgs, metas, **kwargs: [dict(pan_results=np.zeros((64, 64)))])
    with pytest.raises(ValueError, match='panoptic maps of tiles cannot be merged'):
        list(Predictor(detector, tiling=Tiling(32))([item]))


def test_broken_files_keep_their_place_in_a_batch(detector, folder):
    names = ['broken.png', '0.png', 'broken.png', 'sub/1.png', 'missing.png']
    done = list(Predictor(detector, 0.0, batch_size=2)(Item(name, folder / name) for name in names))
    assert [one.item.name for one in done] == names
    assert [one.error is not None for one in done] == [True, False, True, False, True]


def test_folder_as_an_image_gives_a_result_for_each(detector, tiny_run):
    results = inference_detector(detector, tiny_run / 'img')
    assert len(results) == len(list(open_source(str(tiny_run / 'img')).items())) == 8
    one = inference_detector(detector, tiny_run / 'img/3.png')
    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(results[3], one, strict=True))
