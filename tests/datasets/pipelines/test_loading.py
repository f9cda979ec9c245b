"""Images, annotations, extra labels and proposals."""

import cv2
import numpy as np
import pycocotools.mask as mask_utils
import pytest
from PIL import Image

from mmdet.core.mask import BitmapMasks, PolygonMasks
from mmdet.datasets.audit.broken_images import BrokenImageError
from mmdet.datasets.pipelines import (
    FilterAnnotations,
    LoadAnnotations,
    LoadExtraAnnotations,
    LoadImageFromFile,
    LoadImageFromWebcam,
    LoadMultiChannelImageFromFiles,
    LoadPanopticAnnotations,
    LoadProposals,
)
from mmdet.datasets.pipelines.reading import FileReader

IMG = np.random.RandomState(0).randint(0, 255, (7, 9, 3), dtype=np.uint8)
TRIANGLE = [1.0, 1, 7, 1, 1, 6]


@pytest.fixture
def folder(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), IMG)
    cv2.imwrite(str(tmp_path / 'grey.png'), IMG[..., 0])
    (tmp_path / 'empty.png').write_bytes(b'')
    (tmp_path / 'text.png').write_bytes(b'not an image at all')
    (tmp_path / 'cut.png').write_bytes((tmp_path / 'a.png').read_bytes()[:40])
    return tmp_path


def entry(folder, filename='a.png'):
    return dict(img_info=dict(filename=filename), img_prefix=str(folder))


def test_load_image_sets_names_and_shapes(folder):
    out = LoadImageFromFile()(entry(folder))
    assert np.array_equal(out['img'], IMG) and out['img'].dtype == np.uint8
    assert (out['filename'], out['ori_filename']) == (str(folder / 'a.png'), 'a.png')
    assert out['img_shape'] == out['ori_shape'] == (7, 9, 3) and out['img_fields'] == ['img']
    assert LoadImageFromFile()(entry(None, str(folder / 'a.png')) | dict(img_prefix=None))['img'].shape == (7, 9, 3)


def test_load_image_options(folder):
    rgb = LoadImageFromFile(channel_order='rgb', to_float32=True)(entry(folder))['img']
    assert rgb.dtype == np.float32 and np.array_equal(rgb, IMG[..., ::-1])
    assert LoadImageFromFile(color_type='unchanged')(entry(folder, 'grey.png'))['img'].shape == (7, 9)
    assert LoadImageFromFile()(entry(folder, 'grey.png'))['img'].shape == (7, 9, 3)


@pytest.mark.parametrize('name', ['empty.png', 'text.png', 'cut.png'])
def test_load_broken_image_names_the_file(folder, name):
    with pytest.raises(BrokenImageError, match=f'{folder}/{name}'):
        LoadImageFromFile()(entry(folder, name))


def test_load_missing_image_names_the_file(folder):
    with pytest.raises(FileNotFoundError, match=f'{folder}/gone.png'):
        LoadImageFromFile()(entry(folder, 'gone.png'))


def test_load_webcam_frame():
    out = LoadImageFromWebcam(to_float32=True)(dict(img=IMG))
    assert out['filename'] is None and out['img'].dtype == np.float32 and out['ori_shape'] == (7, 9, 3)


def test_load_channels_from_files(folder):
    out = LoadMultiChannelImageFromFiles()(entry(folder, ['grey.png', 'grey.png']))
    assert out['img'].shape == (7, 9, 2) and np.array_equal(out['img'][..., 1], IMG[..., 0])
    assert out['filename'] == [str(folder / 'grey.png')] * 2 and len(out['img_norm_cfg']['std']) == 2


def annotated(**ann_info):
    return dict(img_info=dict(filename='a.png', height=7, width=9), ann_info=ann_info, img_shape=(7, 9, 3))


def test_load_boxes_and_labels_are_copies():
    boxes, labels = np.array([[1, 2, 3, 4]], np.float32), np.array([5])
    out = LoadAnnotations()(annotated(bboxes=boxes, labels=labels, bboxes_ignore=boxes[:0]))
    out['gt_bboxes'][:] = 0
    assert boxes.tolist() == [[1, 2, 3, 4]] and out['gt_labels'] is not labels
    assert out['bbox_fields'] == ['gt_bboxes_ignore', 'gt_bboxes'] and out['gt_bboxes_ignore'].shape == (0, 4)


def test_load_relative_boxes_become_pixels():
    boxes = np.array([[0, 0.5, 1, 1]], np.float32)
    out = LoadAnnotations(denorm_bbox=True)(annotated(bboxes=boxes, labels=np.array([0])))
    assert out['gt_bboxes'].tolist() == [[0, 3.5, 9, 7]]


def weighed(*weights, **step):
    anns = [dict(id=number + 7) | ({} if w is None else dict(loss_weight=w)) for number, w in enumerate(weights)]
    boxes = np.zeros((len(anns), 4), np.float32)
    step = LoadAnnotations(with_weight=True, **step)
    return step(annotated(bboxes=boxes, labels=np.zeros(len(anns), int), annotations=anns))


def test_load_weights_of_objects_from_annotations_or_from_an_array():
    out = weighed(0.5, None, 3)
    assert out['gt_weights'].tolist() == [0.5, 1, 3] and out['gt_weights'].dtype == np.float32
    assert weighed(0.5, 2, weight_key='certainty')['gt_weights'].tolist() == [1, 1]
    assert weighed()['gt_weights'].shape == (0,)
    step = LoadAnnotations(with_weight=True, weight_key='certainty')
    entry = dict(bboxes=np.zeros((2, 4), np.float32), labels=np.zeros(2, int))
    assert step(annotated(**entry, certainty=[0, 4]))['gt_weights'].tolist() == [0, 4]
    assert 'gt_weights' not in LoadAnnotations()(annotated(**entry, certainty=[0, 4]))
    assert repr(step).endswith("with_weight=True, weight_key='certainty')")
    with pytest.raises(ValueError, match=r'a.png: 3 certainty for 2 objects'):
        step(annotated(**entry, certainty=[1, 2, 3]))
    with pytest.raises(KeyError, match="gives no 'certainty'; did you mean 'certainly'"):
        step(annotated(**entry, certainly=[1, 2]))


@pytest.mark.parametrize('value', [-1, float('nan'), float('inf'), True, '1', None])
def test_load_weights_that_are_none_name_the_annotation(value):
    anns = [dict(id=7), dict(id=8, loss_weight=value)]
    boxes = dict(bboxes=np.zeros((2, 4), np.float32), labels=np.zeros(2, int))
    with pytest.raises(ValueError, match=r'a.png: annotation 8: loss_weight must be a finite number >= 0, got'):
        LoadAnnotations(with_weight=True)(annotated(**boxes, annotations=anns))


def test_load_masks_of_every_coco_kind_agree():
    rle = mask_utils.merge(mask_utils.frPyObjects([TRIANGLE], 7, 9))
    bitmap = mask_utils.decode(rle)
    flat = bitmap.T.reshape(-1)
    edges = np.flatnonzero(np.diff(flat, prepend=0)).tolist()
    counts = np.diff([0, *edges, flat.size]).tolist()
    masks = [[TRIANGLE], rle, dict(size=[7, 9], counts=counts)]
    out = LoadAnnotations(with_bbox=False, with_label=False, with_mask=True)(annotated(masks=masks))
    assert isinstance(out['gt_masks'], BitmapMasks) and out['mask_fields'] == ['gt_masks']
    assert all(np.array_equal(mask, bitmap) for mask in out['gt_masks'])


def test_load_polygons_leaves_out_those_without_area():
    step = LoadAnnotations(with_bbox=False, with_label=False, with_mask=True, poly2mask=False)
    masks = step(annotated(masks=[[TRIANGLE, [1.0, 2, 3, 4], [1.0] * 7]]))['gt_masks']
    assert isinstance(masks, PolygonMasks) and [len(m) for m in masks] == [1]


def test_load_segmentation_map(folder):
    step = LoadAnnotations(with_bbox=False, with_label=False, with_seg=True)
    out = step(annotated(seg_map='grey.png') | dict(seg_prefix=str(folder)))
    assert np.array_equal(out['gt_semantic_seg'], IMG[..., 0]) and out['seg_fields'] == ['gt_semantic_seg']


def test_load_panoptic_png(tmp_path):
    ids = np.full((4, 5), 70000)
    ids[1:3, 1:4] = 300
    rgb = np.stack([ids % 256, ids // 256 % 256, ids // 256**2], -1).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'p.png'), rgb[..., ::-1])
    segments = [dict(id=300, category=2, is_thing=True), dict(id=1, category=3, is_thing=True)]
    step = LoadPanopticAnnotations(with_bbox=False, with_label=False)
    out = step(annotated(seg_map='p.png', masks=segments) | dict(seg_prefix=str(tmp_path)))
    assert out['gt_masks'].areas.tolist() == [6, 0]
    assert out['gt_semantic_seg'][1, 1] == 2 and out['gt_semantic_seg'][0, 0] == 255


@pytest.mark.parametrize('shape', [(0,), (0, 5), (3, 5), (3, 4)])
def test_load_proposals_gives_boxes(shape):
    out = LoadProposals(2)(dict(proposals=np.ones(shape)))
    assert out['proposals'].shape == (min(shape[0], 2), 4) and out['proposals'].dtype == np.float32
    with pytest.raises(ValueError, match=r'got \(3, 6\)'):
        LoadProposals()(dict(proposals=np.ones((3, 6))))


def objects():
    """Boxes of 10 x 10, 3 x 10 and 8 x 2 px."""
    boxes = np.array([[0, 0, 10, 10], [0, 0, 3, 10], [0, 0, 8, 2]], np.float32)
    masks = np.zeros((3, 12, 12), np.uint8)
    masks[0, :2, :2] = 1
    masks[1:, :3, :3] = 1
    return dict(
        gt_bboxes=boxes, gt_labels=np.arange(3), gt_extra_labels=np.arange(3) + 7, gt_masks=BitmapMasks(masks, 12, 12)
    )


@pytest.mark.parametrize(
    ('options', 'kept'),
    [
        (dict(min_gt_bbox_wh=(2, 1)), [0, 1, 2]),
        (dict(min_gt_bbox_wh=(3, 1)), [0, 2]),
        (dict(min_gt_bbox_wh=(1, 2)), [0, 1]),
        (dict(by_box=False, by_mask=True, min_gt_mask_area=9), [1, 2]),
        (dict(by_mask=True, min_gt_bbox_wh=(3, 1), min_gt_mask_area=5), [2]),
    ],
)
def test_filter_keeps_everything_in_line(options, kept):
    out = FilterAnnotations(**options)(objects())
    assert out['gt_labels'].tolist() == kept
    assert out['gt_extra_labels'].tolist() == [k + 7 for k in kept]
    assert np.array_equal(out['gt_bboxes'], objects()['gt_bboxes'][kept]) and len(out['gt_masks']) == len(kept)


def test_filter_of_all_objects_refuses_or_keeps_the_image():
    assert FilterAnnotations((50, 50))(objects()) is None
    assert FilterAnnotations((50, 50), keep_empty=False)(objects())['gt_bboxes'].shape == (0, 4)
    with pytest.raises(ValueError, match='by_box and by_mask'):
        FilterAnnotations(by_box=False)


def extra(**ann_info):
    info = dict(filename='a.png', weather='rain')
    return dict(img_info=info, ann_info=dict(labels=np.array([4, 5]), extra_label_name='weather') | ann_info)


def test_extra_labels_of_image_and_objects_are_mapped():
    step = LoadExtraAnnotations(map_name_to_id=dict(sun=0, rain=1))
    assert step(extra())['gt_extra_labels'].tolist() == [1, 1]
    out = step(extra(extra_labels=['sun', 'rain']))
    assert out['gt_extra_labels'].tolist() == [0, 1] and out['gt_extra_labels'].dtype == np.int64
    assert out['gt_extra_label_per_image'] == out['weather'] == 1 and out['extra_label_name'] == 'weather'


def test_extra_labels_of_the_image_follow_boxes_that_were_filtered_before():
    step = LoadExtraAnnotations(map_name_to_id=dict(rain=1))
    assert step(extra() | dict(gt_labels=np.array([4])))['gt_extra_labels'].tolist() == [1]
    with pytest.raises(ValueError, match="2 values of 'weather' for 1 objects"):
        step(extra(extra_labels=['rain', 'rain']) | dict(gt_labels=np.array([4])))


@pytest.mark.parametrize(
    ('options', 'ann_info', 'error', 'text'),
    [
        ({}, dict(extra_label_name=None), ValueError, 'no .extra_label_name'),
        ({}, dict(extra_label_name='wether'), AssertionError, "no attribute 'wether'; did you mean 'weather'"),
        ({}, {}, ValueError, "weather='rain' is a text"),
        (dict(map_name_to_id=dict(rian=0)), {}, ValueError, "'rain' is not in map_name_to_id; did you mean 'rian'"),
    ],
)
def test_extra_labels_errors(options, ann_info, error, text):
    with pytest.raises(error, match=text):
        LoadExtraAnnotations(**options)(extra(**ann_info))


@pytest.mark.parametrize('name', [None, 'wether'])
def test_extra_labels_skip_leaves_results_alone(name):
    out = LoadExtraAnnotations(skip_on_error=True)(extra(extra_label_name=name))
    assert set(out) == {'img_info', 'ann_info'}


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused_with_the_file(tmp_path, value):
    image = np.zeros((4, 5), np.float32)
    image[1, 2] = value
    Image.fromarray(image).save(tmp_path / 'a.tiff')  # OpenCV 4 writes zeros
    step = LoadImageFromFile(color_type='unchanged')
    with pytest.raises(BrokenImageError, match='a.tiff: 1 pixels are infinite or NaN'):
        step(dict(img_info=dict(filename='a.tiff'), img_prefix=str(tmp_path)))
    Image.fromarray(np.full((4, 5), 1e38, np.float32)).save(tmp_path / 'a.tiff')  # the sum overflows
    assert step(dict(img_info=dict(filename='a.tiff'), img_prefix=str(tmp_path)))['img'].max() > 9e37


@pytest.mark.parametrize('missing', [2, 20, 200])
def test_jpeg_that_is_cut_short_is_read_and_counted(tmp_path, caplog, missing):
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8), (9, 9), 0)
    content = cv2.imencode('.jpg', image)[1].tobytes()
    (tmp_path / 'a.jpg').write_bytes(content[:-missing])
    (tmp_path / 'whole.jpg').write_bytes(content)
    reader = FileReader()
    with caplog.at_level('WARNING', 'mmdet'):
        read = reader.read_image(str(tmp_path / 'a.jpg'))
    whole = reader.read_image(str(tmp_path / 'whole.jpg'))
    assert reader.num_cut_short == 1 and 'a.jpg is cut short' in caplog.text
    assert np.array_equal(read[:60], whole[:60])
    (tmp_path / 'a.jpg').write_bytes(content[:30])
    with pytest.raises(BrokenImageError, match=r'a\.jpg \(30 bytes\)'):
        reader.read_image(str(tmp_path / 'a.jpg'))


def test_masks_that_cannot_be_used_are_named_with_their_image():
    info = dict(filename='a.jpg', width=8, height=8)
    results = dict(img_info=info, ann_info=dict(masks=[[[0, 0, 4, 0, 4, 4]], None]))
    step = LoadAnnotations(with_bbox=False, with_label=False, with_mask=True)
    with pytest.raises(ValueError, match='the mask of object 1 of a.jpg cannot be used: no polygon'):
        step(results)
