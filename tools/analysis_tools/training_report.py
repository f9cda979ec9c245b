"""Write a report of a finished training: loss and AP curves, COCO figures, pictures of detections beside ground truth.

    python tools/analysis_tools/training_report.py CONFIG WORK_DIR --results WORK_DIR/results.pkl

``results.pkl`` is what ``tools/test.py CONFIG CHECKPOINT --out results.pkl`` wrote for ``data.test`` of the config.
``WORK_DIR/report.md`` links all the rest.
"""

import argparse
from pathlib import Path

from mmdet.apis.launch import reported_errors
from mmdet.apis.results import load_results
from mmdet.core.visualization import imshow_gt_det_bboxes
from mmdet.datasets import build_dataset
from mmdet.utils.output_paths import OutputPaths
from mmdet.utils.running.json_log import global_iterations, latest_json_log, read_json_log

import cv2
import matplotlib
import mmcv
import numpy as np
from mmcv import Config

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402  the backend must be set first

FIGURES = {
    'mAP': 'AP at IoU 0.50:0.95',
    'mAP_50': 'AP at IoU 0.50',
    'mAP_75': 'AP at IoU 0.75',
    'mAP_s': 'AP, small objects',
    'mAP_m': 'AP, medium objects',
    'mAP_l': 'AP, large objects',
    'AR@100': 'AR, at most 100 detections',
    'AR@300': 'AR, at most 300 detections',
    'AR@1000': 'AR, at most 1000 detections',
    'AR_s@1000': 'AR, small objects',
    'AR_m@1000': 'AR, medium objects',
    'AR_l@1000': 'AR, large objects',
}
MIN_PICTURE_SIDE = 420  # px; smaller images are enlarged so that labels can be read


def save_curves(curves: dict[str, tuple[list, list]], x_label: str, y_label: str, path: Path) -> None:
    """Draw named curves (x values, y values) into one PNG."""
    figure, axes = plt.subplots(figsize=(7, 4), layout='constrained')
    for name, (xs, ys) in curves.items():
        axes.plot(xs, ys, label=name, linewidth=1.4, marker='o' if len(xs) < 30 else None, markersize=3)
    axes.set(xlabel=x_label, ylabel=y_label, ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def loss_curves(rows: list[dict]) -> dict[str, tuple[list, list]]:
    """Each loss of the training rows against the iteration."""
    train = [row for row in rows if row['mode'] == 'train']
    iterations = global_iterations(rows)
    names = [name for name in (train[0] if train else {}) if 'loss' in name]
    return {name: (iterations, [row[name] for row in train]) for name in names}


def ap_curves(rows: list[dict], metric: str) -> dict[str, tuple[list, list]]:
    """AP, AP50 and AP75 of the validation rows against the epoch."""
    val = [row for row in rows if row['mode'] == 'val' and f'{metric}_mAP' in row]
    keys = {'AP': f'{metric}_mAP', 'AP50': f'{metric}_mAP_50', 'AP75': f'{metric}_mAP_75'}
    return {name: ([row['epoch'] for row in val], [row[key] for row in val]) for name, key in keys.items()}


def enlarge(image: np.ndarray, arrays: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """An image whose shorter side is readable, and box arrays (n, 4 or 5) in its pixels."""
    factor = max(1, int(np.ceil(MIN_PICTURE_SIDE / min(image.shape[:2]))))
    image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    scale = np.array([factor] * 4 + [1])
    return image, [boxes * scale[: boxes.shape[1]] for boxes in arrays]


def draw_pictures(dataset, results: list, count: int, score_thr: float, folder: Path) -> list[Path]:
    """Draw ``count`` images spread over the data set, ground truth left and detections right."""
    folder.mkdir(parents=True, exist_ok=True)
    place, paths = OutputPaths(folder), []
    for index in np.unique(np.linspace(0, len(dataset) - 1, count).astype(int)):
        info, annotation = dataset.data_infos[index], dataset.get_ann_info(index)
        image = mmcv.imread(str(Path(dataset.img_prefix or '') / info['filename']))
        boxes_by_class = results[index][0] if isinstance(results[index], tuple) else results[index]
        image, (gt_bboxes, *detections) = enlarge(image, [annotation['bboxes'], *boxes_by_class])
        paths.append(place(info['filename'], Path(dataset.img_prefix or '', info['filename']), '.png'))
        imshow_gt_det_bboxes(
            image,
            dict(gt_bboxes=gt_bboxes, gt_labels=annotation['labels']),
            list(detections),
            class_names=dataset.CLASSES,
            score_thr=score_thr,
            show=False,
            out_file=str(paths[-1]),
            overlay_gt_pred=False,
        )
    return paths


def report_text(config: str, figures: dict[str, float], pictures: list[str]) -> str:
    """Markdown of the report; every link is relative to its folder."""
    lines = [
        '# Report',
        '',
        f'Config: `{config}`',
        '',
        '## Detection (COCO metrics)',
        '',
        '| figure | value |',
        '| --- | --- |',
    ]
    lines += [f'| {title} | {figures[name]:.3f} |' for name, title in FIGURES.items() if name in figures]
    lines += ['', '## Training', '', '![losses](losses.png)', '', '![AP](ap.png)', '', '## Validation pictures', '']
    lines += ['Ground truth on the left, detections on the right.', '', *(f'![{p}]({p})\n' for p in pictures)]
    return '\n'.join(lines)


def evaluate(dataset, results: list, metric: str) -> dict[str, float]:
    """The twelve COCO figures by short name."""
    values = dataset.evaluate(results, metric=metric, metric_items=list(FIGURES), classwise=True)
    return {name: float(values[f'{metric}_{name}']) for name in FIGURES}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of the training')
    parser.add_argument('work_dir', type=Path, help='folder with its logs; the report is written there')
    parser.add_argument('--results', type=Path, required=True, help='results.pkl of tools/test.py --out')
    parser.add_argument('--metric', default='bbox', choices=['bbox', 'segm'])
    parser.add_argument('--pictures', type=int, default=10, help='number of validation pictures')
    parser.add_argument('--score-thr', type=float, default=0.5, help='draw detections with at least this score')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    dataset = build_dataset(cfg.data.test, dict(test_mode=True))
    results = load_results(str(args.results), dataset)
    rows = read_json_log(latest_json_log(args.work_dir))
    save_curves(loss_curves(rows), 'iteration', 'loss', args.work_dir / 'losses.png')
    save_curves(ap_curves(rows, args.metric), 'epoch', 'AP', args.work_dir / 'ap.png')
    pictures = draw_pictures(dataset, results, args.pictures, args.score_thr, args.work_dir / 'pictures')
    figures = evaluate(dataset, results, args.metric)
    links = [path.relative_to(args.work_dir).as_posix() for path in pictures]
    report = args.work_dir / 'report.md'
    report.write_text(report_text(args.config, figures, links), encoding='utf-8')
    print(f'AP {figures["mAP"]:.3f}, AP50 {figures["mAP_50"]:.3f}; the report is {report}')


if __name__ == '__main__':
    with reported_errors():
        main()
