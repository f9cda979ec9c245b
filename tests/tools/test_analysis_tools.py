"""The tools of ``tools/analysis_tools``, each as one process on one small data set."""

import csv
import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_coding
from tool_process import run_tool

ANALYSIS = 'tools/analysis_tools'
ROWS = [
    dict(mode='train', epoch=1, iter=2, loss=3.0, time=9.0),
    dict(mode='train', epoch=1, iter=4, loss=2.0, time=0.5),
    dict(mode='val', epoch=1, iter=4, bbox_mAP=0.25),
]


@pytest.fixture
def log(tmp_path):
    """A log of one epoch."""
    path = tmp_path / 'a.log.json'
    path.write_text('\n'.join(map(json.dumps, [dict(env_info='x'), *ROWS])))
    return path


def test_analyze_logs_draws_one_epoch_and_names_the_keys_there_are(log, tmp_path):
    out = tmp_path / 'curve.png'
    run_tool(f'{ANALYSIS}/analyze_logs.py', 'plot_curve', log, '--keys', 'bbox_mAP', '--out', out)
    assert cv2.imread(str(out)).std() > 5
    done = run_tool(f'{ANALYSIS}/analyze_logs.py', 'plot_curve', log, '--keys', 'bbox_map', check=False)
    assert done.status == 1
    assert "no 'bbox_map'; did you mean 'bbox_mAP'? It has: loss, time, bbox_mAP" in done.error


def test_analyze_logs_times_iterations_without_the_first_row(log, tmp_path):
    done = run_tool(f'{ANALYSIS}/analyze_logs.py', 'cal_train_time', log)
    assert 'average: 0.5000 s/iter' in done.text
    done = run_tool(f'{ANALYSIS}/analyze_logs.py', 'cal_train_time', log, '--include-outliers')
    assert 'average: 4.7500 s/iter' in done.text


def test_analyze_results_draws_best_and_worst_images(world, tmp_path):
    done = run_tool(
        *(f'{ANALYSIS}/analyze_results.py', world / 'tiny.py', world / 'results.pkl', tmp_path, '--topk', 2),
    )
    assert '2 best and 2 worst of 8 images' in done.text and '2 without objects' in done.text
    assert {path.name for path in (tmp_path / 'bad').iterdir()} == {'3_0.000.png', '4_0.000.png'}
    good = list((tmp_path / 'good').iterdir())
    assert len(good) == 2 and all(path.stem.endswith('_1.000') for path in good)
    assert cv2.imread(str(good[0])).shape[0] >= 420


def test_benchmark_states_the_speed(world, tmp_path):
    options = ('--cfg-options', 'data.workers_per_gpu=0', '--max-iter', 7, '--fuse-conv-bn')
    done = run_tool(f'{ANALYSIS}/benchmark.py', world / 'tiny.py', world / 'weights.pth', *options)
    assert float(done.text.split('run 1: ')[1].split()[0]) > 0


def test_confusion_matrix_counts_into_a_table_and_a_picture(world, tmp_path):
    done = run_tool(f'{ANALYSIS}/confusion_matrix.py', world / 'tiny.py', world / 'results.pkl', tmp_path)
    with open(tmp_path / 'confusion_matrix.csv', newline='') as file:
        rows = list(csv.reader(file))
    assert rows[0][1:] == ['red', 'green', 'background']
    # images 0, 2 are red and found, 4 is red and missed; 1, 5 are green and found, 3 is taken for red
    assert [row[1:] for row in rows[1:]] == [['2', '0', '1'], ['1', '2', '0'], ['0', '1', '0']]
    assert '4 of 6 objects' in done.text
    assert cv2.imread(str(tmp_path / 'confusion_matrix.png')).std() > 5


def test_eval_metric_evaluates_and_formats(world, tmp_path):
    files = (f'{ANALYSIS}/eval_metric.py', world / 'tiny.py', world / 'results.pkl')
    done = run_tool(*files, '--eval', 'bbox', '--eval-options', 'classwise=True')
    assert 'Average Precision' in done.text and 'category' in done.text
    run_tool(*files, '--format-only', '--eval-options', f'jsonfile_prefix={tmp_path}/x')
    assert len(json.loads((tmp_path / 'x.bbox.json').read_text())) == 6
    assert '--eval' in run_tool(*files, check=False).error


def test_results_of_another_data_set_are_refused(world, tmp_path):
    (tmp_path / 'short.pkl').write_bytes(pickle.dumps([]))
    done = run_tool(
        *(f'{ANALYSIS}/eval_metric.py', world / 'tiny.py', tmp_path / 'short.pkl', '--eval', 'bbox'),
        check=False,
    )
    assert '0 results for the 8 images' in done.error


def test_results_of_other_classes_or_without_numbers_are_refused(world, tmp_path):
    results = pickle.loads((world / 'results.pkl').read_bytes())
    for name, change, message in (
        ('classes', lambda result: result[:1], 'result 0 has 1 classes, the data set'),
        ('nan', lambda result: [np.full((1, 5), np.nan)] * len(result), 'a detection is not finite'),
        ('wide', lambda result: [np.zeros((1, 4))] * len(result), 'expected detections (n, 5)'),
    ):
        (tmp_path / f'{name}.pkl').write_bytes(pickle.dumps([change(result) for result in results]))
        files = (f'{ANALYSIS}/eval_metric.py', world / 'tiny.py', tmp_path / f'{name}.pkl')
        assert message in run_tool(*files, '--eval', 'bbox', check=False).error
    files = (f'{ANALYSIS}/eval_metric.py', world / 'tiny.py', world / 'results.pkl')
    assert run_tool(*files, '--eval', 'segm', check=False).error.startswith("error: metric 'segm': the results hold")


def test_get_flops_counts_both_stages(world, tmp_path):
    done = run_tool(*(f'{ANALYSIS}/get_flops.py', world / 'tiny.py', '--shape', 60, 64, '--size-divisor', 32))
    assert '(3, 64, 64)' in done.text
    # by hand: the second stage alone has 1000 proposals x (16 x 7 x 7 x 32 + 32 x 32 + 32 x (3 + 8)) multiply-adds
    assert float(done.text.split('GFLOPs')[0].split()[-1]) > 1000 * (16 * 49 * 32 + 32 * 32 + 32 * 11) / 1e9 - 0.005


def test_coco_error_analysis_draws_every_class(world, tmp_path):
    results = pickle.loads((world / 'results.pkl').read_bytes())
    entries = [
        dict(image_id=i, category_id=k + 1, bbox=[x1, y1, x2 - x1, y2 - y1], score=score)
        for i, image in enumerate(results)
        for k, dets in enumerate(image)
        for x1, y1, x2, y2, score in dets.tolist()
    ]
    (tmp_path / 'r.bbox.json').write_text(json.dumps(entries))
    content = json.loads((world / 'ann.json').read_text())
    for category, name in zip(content['categories'], ('../r', '.._r')):  # equal when they are part of a file's name
        category['name'] = name
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    done = run_tool(
        *(
            f'{ANALYSIS}/coco_error_analysis.py',
            tmp_path / 'r.bbox.json',
            tmp_path / 'out',
            '--ann',
            tmp_path / 'ann.json',
        ),
        *('--extraplots',),
    )
    names = {path.name for path in (tmp_path / 'out/bbox').iterdir()}
    assert {f'{k}.png' for k in ('.._r-all', '.._r-all_1', 'allclass-all')} <= names
    assert {
        '.._r-bars.png',
        '.._r-bars_1.png',
        'sizes.png',
        '.._r-small.png',
    } <= names and '.._r-large.png' not in names
    assert '| ../r' in done.text and 'allclass' in done.text


YOLO_HEAD = (
    "model = dict(_delete_=True, bbox_head=dict(anchor_generator=dict(type='YOLOAnchorGenerator', base_sizes={})))"
)


def test_optimize_anchors_writes_base_sizes(world, tmp_path):
    sizes = [[(30, 30)], [(10, 10)]]
    (tmp_path / 'yolo.py').write_text(f"_base_ = '{world}/tiny.py'\n" + YOLO_HEAD.format(sizes))
    for algorithm in ('k-means', 'differential_evolution'):
        done = run_tool(
            *(f'{ANALYSIS}/optimize_anchors.py', tmp_path / 'yolo.py', '--algorithm', algorithm, '--iters', 20),
            *('--input-shape', 64, 64, '--output-dir', tmp_path),
        )
        (large,), (small,) = json.loads((tmp_path / 'anchor_optimize_result.json').read_text())
        assert min(small) >= 14 and max(small) <= min(large) and max(large) <= 30
        assert '6 boxes' in done.text
    refused = run_tool(f'{ANALYSIS}/optimize_anchors.py', world / 'tiny.py', check=False)
    assert 'YOLOAnchorGenerator' in refused.error


DARKENER = 'def corrupt(image, corruption_name, severity):\n    return (image // (1 + severity)).astype("uint8")\n'


def test_test_robustness_with_a_package_of_damage_and_its_summary(world, tmp_path):
    command = (f'{ANALYSIS}/test_robustness.py', world / 'tiny.py', world / 'weights.pth', '--workers', 0)
    options = ('--corruptions', 'fog', '--severities', 0, 2, '--out', tmp_path / 'r.pkl', '--eval', 'bbox')
    refused = run_tool(*command, *options, check=False)
    assert 'pip install imagecorruptions' in refused.error
    (tmp_path / 'stand_in').mkdir()
    (tmp_path / 'stand_in/imagecorruptions.py').write_text(DARKENER)
    done = run_tool(*command, *options, search_path=(str(tmp_path / 'stand_in'),))
    assert 'clean images, severity 0' in done.text and 'fog, severity 2' in done.text and '(mPC)' in done.text
    figures = pickle.loads((tmp_path / 'r_results.pkl').read_bytes())
    assert set(figures) == {'fog'} and set(figures['fog']) == {0, 2}
    read = run_tool(
        *(f'{ANALYSIS}/robustness_eval.py', tmp_path / 'r_results.pkl', '--prints', 'P', 'rPC', '--metric', 'AP50'),
    )
    assert f'AP50   {figures["fog"][0]["bbox_mAP_50"]:.3f}' in read.text and '(mPC)' not in read.text


def test_error_of_a_config_that_is_not_there_is_one_line(tmp_path):
    done = run_tool(f'{ANALYSIS}/get_flops.py', 'configs/no/such.py', check=False)
    assert done.status == 1 and done.text.strip().startswith('error: there is no config')


def test_pictures_folder_is_made(world, tmp_path):
    done = run_tool(
        *(f'{ANALYSIS}/confusion_matrix.py', world / 'tiny.py', world / 'results.pkl', tmp_path / 'a/b'),
        *('--normalise', 'none', '--nms-iou-thr', 0.5, '--color-theme', 'viridis'),
    )
    assert Path(tmp_path / 'a/b/confusion_matrix.png').is_file() and done.status == 0
    assert np.ptp(cv2.imread(str(tmp_path / 'a/b/confusion_matrix.png'))) > 100


def test_occluded_and_separated_objects_are_counted_by_their_masks(world, tmp_path):
    pytest.importorskip('mmdet.datasets.coco_occluded')
    coco = json.loads((world / 'ann.json').read_text())
    names = dict(red='person', green='bicycle')  # the tool takes COCO's 80 classes
    for category in coco['categories']:
        category['name'] = names[category['name']]
    (tmp_path / 'ann.json').write_text(json.dumps(coco))
    mask = mask_coding.encode(np.asfortranarray(np.ones((64, 64), np.uint8)))
    nothing = np.zeros((0, 5))
    results = [([nothing] * 80, [[]] * 80) for _ in range(8)]
    results[0] = ([np.array([[0, 0, 64, 64, 0.9]]), *[nothing] * 79], [[mask], *[[]] * 79])
    (tmp_path / 'r.pkl').write_bytes(pickle.dumps(results))
    rle = dict(size=[64, 64], counts=mask['counts'].decode())
    objects = [['person', 1, f'{i}.png', [0, 0, 64, 64], rle] for i in (0, 2)]
    (tmp_path / 'o.json').write_text(json.dumps(objects))
    (tmp_path / 's.json').write_text(json.dumps(objects[:1]))
    run_tool(
        *(f'{ANALYSIS}/coco_occluded_separated_recall.py', tmp_path / 'r.pkl', '--ann', tmp_path / 'ann.json'),
        *('--occluded-ann', tmp_path / 'o.json', '--separated-ann', tmp_path / 's.json', '--out', tmp_path / 'x.json'),
    )
    figures = json.loads((tmp_path / 'x.json').read_text())
    assert figures == dict(occluded_recall=50.0, separated_recall=100.0)


def test_analyze_results_takes_results_with_masks(world, tmp_path):
    results = pickle.loads((world / 'results.pkl').read_bytes())
    mask = mask_coding.encode(np.asfortranarray(np.tri(64, dtype=np.uint8)))
    pairs = [(boxes, [[mask] * len(of_class) for of_class in boxes]) for boxes in results]
    (tmp_path / 'masks.pkl').write_bytes(pickle.dumps(pairs))
    run_tool(
        *(f'{ANALYSIS}/analyze_results.py', world / 'tiny.py', tmp_path / 'masks.pkl', tmp_path, '--topk', 1),
        '--overlay-gt-pred',
    )
    (good,), (bad,) = ([cv2.imread(str(p)) for p in (tmp_path / name).iterdir()] for name in ('good', 'bad'))
    assert good.shape == bad.shape == (448, 448, 3)
    # below the diagonal the image of the mask is tinted, above it is not
    assert good[-60:, :30].mean() > good[:30, -60:].mean() + 20
