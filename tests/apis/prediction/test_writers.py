"""Outputs of predictions, by hand."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmdet.apis.prediction.augmentation import AugmentationError, with_augmentation
from mmdet.apis.prediction.detections import flatten_result
from mmdet.apis.prediction.predictor import Prediction
from mmdet.apis.prediction.run import Numbering, Outputs, build_writers
from mmdet.apis.prediction.sources import Item, Source
from mmdet.apis.prediction.writers import CocoJson, Csv, Lines, OutputError, Pictures, Video, Window, YoloText
from mmdet.utils.output_paths import OutputPathError, OutputPaths

CLASSES = ('cat', 'dog')
MASK = np.zeros((50, 100), bool)
MASK[20:40, 10:30] = True
RESULT = [np.zeros((0, 5), np.float32), np.array([[10, 20, 30, 40, 0.75]], np.float32)]


def prediction(name='sub/a.png', result=RESULT):
    return Prediction(Item(name, Path(name)), (100, 50), flatten_result(result), result)


def write(writer, *predictions):
    for number, one in enumerate(predictions):
        writer.write(one, 7 + number)
    writer.close()


def test_json_is_loaded_by_cocos_tools(tmp_path):
    write(
        CocoJson(tmp_path, CLASSES, [3, 5]), prediction(result=(RESULT, [[], [MASK]])), prediction('b.png', RESULT[:1])
    )
    coco = COCO(tmp_path / 'images.json')
    assert coco.loadImgs(8) == [dict(id=8, file_name='b.png', width=100, height=50)]
    (row,) = coco.loadRes(str(tmp_path / 'detections.json')).loadAnns([1])
    assert (row['image_id'], row['category_id'], row['category_name'], row['file_name']) == (7, 5, 'dog', 'sub/a.png')
    assert row['bbox'] == [10, 20, 20, 20] and row['score'] == 0.75
    np.testing.assert_array_equal(coco.annToMask(row), MASK)


def test_json_has_keypoints(tmp_path):
    points = [np.zeros((0, 2, 3)), np.array([[[1.0, 2, 0.5], [3, 4, 0.6]]])]
    write(CocoJson(tmp_path, CLASSES, [1, 2]), prediction(result=(RESULT, None, points)))
    (row,) = json.loads((tmp_path / 'detections.json').read_text())
    assert row['keypoints'] == [1, 2, 0.5, 3, 4, 0.6]


def test_csv_has_a_line_for_each_detection(tmp_path):
    write(Csv(tmp_path, CLASSES, [1, 2]), prediction())
    (row,) = csv.DictReader((tmp_path / 'detections.csv').open())
    assert (row['file_name'], row['category_name'], row['score'], row['x2']) == ('sub/a.png', 'dog', '0.7500', '30.00')


def test_yolo_text_is_in_fractions_and_empty_without_detections(tmp_path):
    write(YoloText(tmp_path, CLASSES), prediction(), prediction('b.png', RESULT[:1]))
    assert (tmp_path / 'labels/sub/a.txt').read_text() == '1 0.200000 0.600000 0.200000 0.400000 0.750000\n'
    assert (tmp_path / 'labels/b.txt').read_text() == '' and (tmp_path / 'classes.txt').read_text() == 'cat\ndog\n'


def test_lines_say_class_score_and_corners(capsys):
    write(Lines(CLASSES), prediction())
    assert capsys.readouterr().out == 'dog  0.750  (10.0, 20.0, 30.0, 40.0)\n'


def test_pictures_of_a_video_have_one_size(tmp_path):
    sizes = iter([(24, 32), (48, 64)])
    video = Video(tmp_path / 'deep/clip.avi', 5, lambda _: np.full((*next(sizes), 3), 200, np.uint8))
    write(video, prediction(), prediction())
    capture = cv2.VideoCapture(str(tmp_path / 'deep/clip.avi'))
    frames = [capture.read()[1] for _ in range(2)]
    assert [frame.shape for frame in frames] == [(24, 32, 3)] * 2 and not capture.read()[0]
    assert abs(frames[1].mean() - 200) < 5 and capture.get(cv2.CAP_PROP_FPS) == 5
    with pytest.raises(OutputError, match='expected the name of a video, ending in .mp4'):
        Video(tmp_path / 'clip.png', 5, len)


def test_picture_of_a_file_without_a_known_ending_is_a_png(tmp_path):
    pictures = Pictures(OutputPaths(tmp_path), lambda prediction: np.zeros((8, 8, 3), np.uint8))
    for name in ('a', 'b.JPG', 'c.scan'):
        pictures.write(Prediction(Item(name, Path(name))), 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.png', 'b.JPG', 'c.scan.png']


def test_window_without_a_display_is_refused():
    with pytest.raises(OutputError, match='--show: there is no display .matplotlib draws with [aA]gg.; use --out-dir'):
        Window(len, 0)


ONE = Source(lambda: iter([Item('a.png', Path('data/sub/a.png'))]), 1, Path('data/sub'))
MANY = Source(lambda: iter([]), 3, Path('data'))
FRAMES = Source(lambda: iter([]), None, None, 25.0, 'camera0')


class Model:
    """What the choice of writers asks of a predictor."""

    classes = CLASSES

    def draw(self, prediction, palette=None):
        raise AssertionError('nothing is drawn here')


@pytest.mark.parametrize(
    ('source', 'outputs', 'kinds'),
    [
        (ONE, Outputs(), [Lines]),
        (ONE, Outputs(out_file='b.png'), [Pictures, Lines]),
        (ONE, Outputs(out_dir='out'), [CocoJson, Pictures]),
        (MANY, Outputs(out_dir='out', out_file='all.mp4'), [CocoJson, Video]),
        (FRAMES, Outputs(out_dir='out'), [CocoJson, Video]),
        (FRAMES, Outputs(out_dir='out', kinds=('csv', 'yolo', 'csv')), [Csv, YoloText]),
    ],
)
def test_outputs_follow_source_and_options(source, outputs, kinds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writers = build_writers(Model(), source, outputs, Numbering(CLASSES))
    assert [type(writer) for writer in writers] == kinds
    for writer in writers:
        writer.close()


def test_video_in_the_folder_of_its_source_does_not_replace_it(tmp_path):
    clip = tmp_path / 'clip.mp4'
    clip.write_bytes(b'a video')
    frames = FRAMES._replace(title='clip', video=clip)
    with pytest.raises(OutputPathError, match='clip.mp4 is an input'):
        build_writers(Model(), frames, Outputs(out_dir=str(tmp_path), kinds=('video',)), Numbering(CLASSES))
    (video,) = build_writers(
        Model(), frames, Outputs(out_dir=str(tmp_path / 'a'), kinds=('video',)), Numbering(CLASSES)
    )
    assert video.path == tmp_path / 'a/clip.mp4' and clip.read_bytes() == b'a video'
    outside = frames._replace(title='../../b')
    (video,) = build_writers(Model(), outside, Outputs(out_dir=str(tmp_path), kinds=('video',)), Numbering(CLASSES))
    assert video.path == tmp_path / 'b.mp4'


@pytest.mark.parametrize(
    ('source', 'outputs', 'says'),
    [
        (MANY, Outputs(), 'say with --out-dir where their detections go'),
        (MANY, Outputs(out_file='a.png'), '--out-file takes one image, there are 3; use --out-dir'),
        (ONE, Outputs(out_file='a.txt'), '--out-file a.txt: expected the name of an image'),
        (ONE, Outputs(out_file='a'), '--out-file a: expected the name of an image'),
        (ONE, Outputs(kinds=('csv',)), '--out-dir must say where'),
        (ONE, Outputs(kinds=('xml',), out_dir='out'), '--save xml: expected one of json, csv'),
    ],
)
def test_outputs_that_do_not_fit_are_refused(source, outputs, says):
    with pytest.raises(OutputError, match=says):
        build_writers(Model(), source, outputs, Numbering(CLASSES))


def test_ids_are_those_of_an_annotation_file(tmp_path):
    content = dict(
        images=[dict(id=30, file_name='sub/a.png')], categories=[dict(id=9, name='dog'), dict(id=4, name='cat')]
    )
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    numbering = Numbering(CLASSES, str(tmp_path / 'ann.json'))
    assert numbering.category_ids == [4, 9] and numbering.image_id(next(ONE.items()), 0) == 30
    assert Numbering(CLASSES).category_ids == [1, 2] and Numbering(CLASSES).image_id(None, 4) == 5
    with pytest.raises(OutputError, match='does not list the image b.png'):
        numbering.check(Source(lambda: iter([Item('b.png', Path('b.png'))]), 1, Path('.')))
    with pytest.raises(OutputError, match='frames of a video or camera are numbered'):
        numbering.check(FRAMES)
    with pytest.raises(OutputError, match="has no category 'bird' of the detector; it has .'dog', 'cat'."):
        Numbering(('bird',), str(tmp_path / 'ann.json'))
    with pytest.raises(OutputError, match='missing.json is no COCO file'):
        Numbering(CLASSES, 'missing.json')


def test_augmentation_adds_flips_and_scales():
    steps = [dict(type='LoadImageFromFile'), dict(type='MultiScaleFlipAug', img_scale=(1333, 800), flip=False)]
    changed = with_augmentation(steps, (0.5, 1))
    assert changed[1]['img_scale'] == [(666, 400), (1333, 800)] and changed[1]['flip'] and not steps[1]['flip']
    assert with_augmentation([dict(type='MultiScaleFlipAug', scale_factor=[1.0, 2.0])])[0]['scale_factor'] == [1.0, 2.0]
    with pytest.raises(AugmentationError, match='needs a MultiScaleFlipAug .*got the steps LoadImageFromFile'):
        with_augmentation(steps[:1])
    with pytest.raises(AugmentationError, match='the factors .nan, 1'):
        with_augmentation(steps, (float('nan'), 1))
    with pytest.raises(AugmentationError, match='the factors .0'):
        with_augmentation(steps, (0,))
