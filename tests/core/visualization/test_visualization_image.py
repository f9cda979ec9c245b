import cv2
import mmcv
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pycocotools import mask as mask_coding

from mmdet.core.visualization import color_val_matplotlib, imshow_det_bboxes, imshow_gt_det_bboxes
from mmdet.core.visualization.image import draw_labels, draw_masks
from mmdet.core.visualization.instances import from_result
from mmdet.core.visualization.reading import pipeline_of, read_image
from mmdet.datasets.pipelines.compose import Compose
from mmdet.datasets.pipelines.loading import LoadImageFromFile

RED, BLUE = (255, 0, 0), (0, 0, 255)
GREY = np.full((120, 160, 3), 127, dtype=np.uint8)
BOX = np.array([[40.0, 50.0, 90.0, 100.0, 0.9]])


def is_colour(img, rgb):
    """Where a picture (blue-green-red) is nearly of that colour."""
    return (np.abs(img[..., ::-1].astype(int) - rgb) < 60).all(-1)


def drawn(*args, **kwargs):
    return imshow_det_bboxes(*args, show=False, **kwargs)


def test_box_is_outlined_where_it_stands_in_its_colour():
    before = GREY.copy()
    img = drawn(GREY, BOX, np.array([0]), bbox_color=RED, thickness=1)
    rows, columns = np.nonzero(is_colour(img, RED))
    assert np.abs(np.array([columns.min(), columns.max(), rows.max()]) - (40, 90, 100)).max() <= 1
    assert not is_colour(img, RED)[60:90, 45:85].any()
    assert img.shape == GREY.shape and img.dtype == np.uint8
    assert np.array_equal(GREY, before)


@pytest.mark.parametrize('size', [(1, 1), (192, 192), (29, 57), (333, 801)])
def test_no_boxes_give_the_image_back_pixel_for_pixel(size):
    img = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert np.array_equal(drawn(img, np.zeros((0, 5)), np.zeros(0, int)), img)
    assert np.array_equal(drawn(img, np.zeros((0, 4)), np.zeros(0, int), np.zeros((0, *size))), img)


def test_score_thr_keeps_higher_scores_only():
    boxes = np.array([[10, 20, 50, 60, 0.5], [70, 20, 110, 60, 0.51]])
    found = is_colour(drawn(GREY, boxes, np.zeros(2, int), bbox_color=RED, score_thr=0.5), RED)
    assert found[:, 65:].any() and not found[:, :65].any()


def test_each_class_has_its_colour():
    boxes = np.array([[10, 40, 50, 60], [70, 40, 110, 60]])
    img = drawn(GREY, boxes, np.array([1, 0]), bbox_color=[RED, BLUE], text_color='white')
    assert is_colour(img, BLUE)[:, :60].any() and not is_colour(img, BLUE)[:, 65:].any()
    assert is_colour(img, RED)[:, 65:].any()


def test_masks_tint_what_they_cover():
    mask = np.zeros((1, 120, 160), dtype=bool)
    mask[0, 30:60, 40:80] = True
    img = drawn(GREY, None, np.array([0]), mask, mask_color=RED)
    assert img[35, 45].tolist() == [63, 63, 191]
    assert np.array_equal(img[70:], GREY[70:])
    coded = mask_coding.encode(np.asfortranarray(mask[0].astype(np.uint8)))
    assert np.array_equal(drawn(GREY, None, np.array([0]), [coded], mask_color=RED), img)


def test_draw_masks_varies_a_colour_that_comes_again():
    masks = np.zeros((2, 4, 4), dtype=bool)
    masks[0, :2], masks[1, 2:] = True, True
    ax = Figure().add_subplot()
    _, img = draw_masks(ax, np.zeros((4, 4, 3), np.uint8), masks, [(100, 100, 100)] * 2, with_edge=False, alpha=1)
    assert img[0, 0].tolist() == [100, 100, 100]
    assert img[3, 3].tolist() != [100, 100, 100] and np.abs(img[3, 3].astype(int) - 100).max() <= 30


@pytest.mark.parametrize('position', [(0, 0), (159, 119), (80, 0), (159, 60), (-20, 140)])
def test_labels_stay_on_the_picture(position):
    figure = Figure(figsize=(1.6, 1.2), dpi=100)
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_xlim(0, 160)
    ax.set_ylim(120, 0)
    draw_labels(ax, np.array([0]), np.array([position]), np.array([0.5]), ['triangle'])
    extent = ax.texts[0].get_window_extent()
    assert ax.texts[0].get_text() == 'triangle|0.50'
    assert extent.x0 >= -1e-6 and extent.x1 <= 160 + 1e-6 and extent.y0 >= -1e-6 and extent.y1 <= 120 + 1e-6


def test_scale_enlarges_picture_and_boxes():
    img = drawn(GREY, BOX, np.array([0]), bbox_color=RED, thickness=1, scale=2)
    columns = np.nonzero(is_colour(img, RED))[1]
    assert img.shape == (240, 320, 3)
    assert abs(columns.min() - 80) <= 1 and abs(columns.max() - 180) <= 1


def test_picture_is_read_from_and_written_to_files(tmp_path):
    mmcv.imwrite(GREY, str(tmp_path / 'in.png'))
    img = drawn(str(tmp_path / 'in.png'), BOX, np.array([0]), out_file=str(tmp_path / 'new' / 'out.png'))
    assert np.array_equal(mmcv.imread(str(tmp_path / 'new' / 'out.png')), img)


ANNOTATION = dict(gt_bboxes=np.array([[10.0, 30.0, 60.0, 80.0]]), gt_labels=np.array([1]))
RESULT = [np.zeros((0, 5)), np.array([[90.0, 30.0, 140.0, 80.0, 0.9], [20.0, 90.0, 30.0, 100.0, 0.1]])]


def test_ground_truth_and_detections_on_one_picture():
    img = imshow_gt_det_bboxes(
        GREY, ANNOTATION, RESULT, score_thr=0.5, gt_bbox_color=BLUE, det_bbox_color=RED, show=False, font_size=8
    )
    assert img.shape == GREY.shape
    assert is_colour(img, BLUE)[:, :75].any() and not is_colour(img, BLUE)[:, 75:].any()
    assert is_colour(img, RED)[:, 75:].any() and not is_colour(img, RED)[:, :75].any()


def test_ground_truth_left_of_detections():
    img = imshow_gt_det_bboxes(
        GREY, ANNOTATION, RESULT, gt_bbox_color=BLUE, det_bbox_color=RED, show=False, overlay_gt_pred=False
    )
    assert img.shape == (120, 324, 3)
    assert is_colour(img, BLUE)[:, :160].any() and not is_colour(img, BLUE)[:, 160:].any()
    assert is_colour(img, RED)[:, 164:].any() and not is_colour(img, RED)[:, :160].any()


def test_image_without_objects_and_detections_stays_as_it_is():
    nothing = dict(gt_bboxes=np.zeros((0, 4)), gt_labels=np.zeros(0, int))
    assert np.array_equal(imshow_gt_det_bboxes(GREY, nothing, [np.zeros((0, 5))], show=False), GREY)


def test_results_with_masks_and_panoptic_maps_are_drawn():
    mask = np.zeros((120, 160), dtype=bool)
    mask[30:80, 90:140] = True
    masks = [[], [mask, mask]]
    instance = imshow_gt_det_bboxes(GREY, ANNOTATION, (RESULT, masks), det_mask_color=RED, show=False)
    panoptic = dict(pan_results=np.where(mask, 1001, 2))  # second instance of class 1; 2 is background
    segments = imshow_gt_det_bboxes(GREY, ANNOTATION, panoptic, ['a', 'b'], det_mask_color=RED, show=False)
    assert instance[70, 100].tolist() != GREY[70, 100].tolist()
    assert segments[70, 100].tolist() == [63, 63, 191] and segments[110, 150].tolist() == [127] * 3


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(), 'nothing to draw'),
        (dict(bboxes=np.zeros((2, 3)), labels=np.zeros(2)), r'bboxes: expected \(n, 4\) or \(n, 5\), got \(2, 3\)'),
        (dict(bboxes=np.zeros((2, 4)), labels=np.zeros(1)), 'as many labels and masks as boxes'),
        (dict(bboxes=np.zeros((1, 4)), segms=np.zeros((2, 4, 4))), 'as many labels and masks as boxes'),
        (dict(bboxes=np.zeros((1, 4)), score_thr=0.3), 'score_thr=0.3 needs scores'),
    ],
)
def test_arrays_that_do_not_fit_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        drawn(GREY, **kwargs)


def test_annotation_and_result_of_another_form_are_refused():
    with pytest.raises(KeyError, match='gt_labels missing'):
        imshow_gt_det_bboxes(GREY, dict(gt_bboxes=np.zeros((0, 4))), RESULT, show=False)
    with pytest.raises(TypeError, match='result: expected a list'):
        imshow_gt_det_bboxes(GREY, ANNOTATION, 'result', show=False)


def test_color_val_matplotlib_turns_bgr_bytes_into_rgb_shares():
    assert color_val_matplotlib((0, 51, 255)) == (1, 0.2, 0)
    assert color_val_matplotlib('blue') == (0, 0, 1)


def test_boxes_are_drawn_where_there_are_no_masks_at_all():
    annotation = dict(gt_bboxes=np.array([[2.0, 2, 12, 12]]), gt_labels=np.zeros(1, np.int64))
    empty = dict(annotation, gt_masks=np.zeros((0, 20, 20), np.uint8))
    image, found = np.zeros((20, 20, 3), np.uint8), ([np.zeros((0, 5))], [[]])
    drawn = imshow_gt_det_bboxes(image, empty, found, show=False)
    assert drawn.any()
    assert np.array_equal(drawn, imshow_gt_det_bboxes(image, annotation, found[0], show=False))


def test_labels_of_objects_at_one_place_do_not_cover_each_other():
    figure = Figure(figsize=(3, 3), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, 300)
    axes.set_ylim(300, 0)
    draw_labels(axes, np.array([0, 1, 0]), np.array([[100, 150.0]] * 3), class_names=('lamp', 'table'))
    extents = [text.get_window_extent() for text in axes.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(extents) for b in extents[:i])
    assert axes.texts[0].get_position() == (100, 150)


def test_lines_are_thicker_on_large_images():
    wide = np.full((1600, 1600, 3), 127, np.uint8)
    box = np.array([[400.0, 400, 1200, 1200]])
    assert is_colour(drawn(wide, box, bbox_color=RED), RED)[800].sum() > 1.5 * (
        is_colour(drawn(wide[:1300, :800], box / 2, bbox_color=RED), RED)[400].sum()
    )


def test_masks_whose_boxes_have_no_extent_are_drawn_without_boxes():
    masks = np.zeros((1, 120, 160), bool)
    masks[0, 40:80, 60:120] = True
    solo = ([np.array([[0, 0, 0, 0, 0.8]], np.float32)], [list(masks)])
    objects = from_result(solo)
    assert objects.bboxes is None and objects.scores.tolist() == pytest.approx([0.8]) and objects.masks.sum() == 2400
    picture = drawn(GREY, solo[0][0], np.array([0]), masks, bbox_color=RED, mask_color=BLUE, text_color='white')
    assert not is_colour(picture, RED).any() and (picture[:6, :6] == 127).all()


ROTATED = dict(type='LoadImageFromFile', color_type='color_ignore_orientation')


@pytest.fixture
def turned_file(tmp_path):
    """A JPEG of 20 x 10 px with a rotation by a quarter stored in it."""
    jpeg = cv2.imencode('.jpg', np.full((10, 20, 3), 90, np.uint8))[1].tobytes()
    tag = bytes.fromhex('4d4d002a00000008000101120003000000010006000000000000')  # TIFF: orientation 6
    segment = b'Exif\0\0' + tag
    path = tmp_path / 'turned.jpg'
    path.write_bytes(jpeg[:2] + b'\xff\xe1' + (len(segment) + 2).to_bytes(2, 'big') + segment + jpeg[2:])
    return path


def test_read_image_leaves_a_stored_rotation_aside_where_the_pipeline_does(turned_file):
    assert read_image(turned_file).shape == (20, 10, 3)
    assert read_image(turned_file, [ROTATED]).shape == (10, 20, 3)
    steps = Compose([ROTATED])
    assert read_image(str(turned_file), steps).shape == (10, 20, 3)
    cfg = dict(data=dict(test=dict(type='ConcatDataset', datasets=[dict(pipeline=[ROTATED])])))
    assert read_image(turned_file, pipeline_of(cfg)).shape == (10, 20, 3)


def test_read_image_gives_three_channels_of_eight_bits(tmp_path):
    assert read_image(np.full((4, 5), 65535, np.uint16)).tolist() == np.full((4, 5, 3), 255).tolist()
    assert read_image(np.zeros((4, 5, 4), np.uint8)).shape == (4, 5, 3)
    with pytest.raises(FileNotFoundError, match='absent'):
        read_image(tmp_path / 'absent.png')
    (tmp_path / 'text.png').write_text('no image')
    with pytest.raises(ValueError, match=r'text\.png cannot be decoded'):
        read_image(tmp_path / 'text.png')


def test_jpeg_that_is_cut_short_is_drawn_on_as_the_pipeline_reads_it(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    content = cv2.imencode('.jpg', noise)[1].tobytes()
    (tmp_path / 'cut.jpg').write_bytes(content[: len(content) // 2])
    loaded = LoadImageFromFile()(dict(img_info=dict(filename='cut.jpg'), img_prefix=str(tmp_path)))['img']
    assert np.array_equal(read_image(tmp_path / 'cut.jpg'), loaded)
