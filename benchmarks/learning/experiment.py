"""What the experiments of this folder share: a small detector, runs that are made once, tables and plots.

Every run begins from one detector that has learnt two other classes of shapes, as one would begin from a detector of
COCO; only its classifier is new. A run is named by all that it depends on: one whose figures are there is not
repeated. Runs go side by side, in ``--jobs`` processes of one thread each. A GPU is used where there is one, and
deserves larger settings.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/demo/faster_rcnn_r18_fpn_mixed.py'
SHAPES = ('disc', 'square', 'triangle')
OTHER_SHAPES = ('cross', 'ring')  # what the detector has learnt before
PRETRAINED = 'pretrained'
DRAWN_SEEDS = 3  # images are drawn for so many seeds at least, so that with fewer they are the same
NEW_PARTS = ('roi_head.bbox_head.fc_cls.',)  # not taken over
MARKS = ('<!-- table -->', '<!-- end of the table -->')  # what lies between them on a page is written anew


class Source(NamedTuple):
    """Training images of one kind."""

    name: str
    ann_file: str
    img_prefix: str
    directives: dict[str, Any]  # what `AddFieldToImgMetas` says of its images


class Run(NamedTuple):
    """One training and its test."""

    method: str  # names it
    seed: int
    classes: Sequence[str]
    sources: list[Source]
    test: tuple[str, str]  # annotation file, folder of images
    iters: int
    options: dict[str, Any] = {}  # further keys of the config


def add_common_options(parser: argparse.ArgumentParser, seeds: Sequence[int] = (0, 1, 2)) -> None:
    """The options that all experiments have."""
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/learning'), help='may serve all experiments')
    parser.add_argument('--out-dir', type=Path, default=ROOT / 'docs/experiments', help='for the table and the plot')
    parser.add_argument('--seeds', nargs='+', type=int, default=list(seeds))
    parser.add_argument('--jobs', type=int, default=os.cpu_count(), help='runs at a time, of one thread each')
    parser.add_argument('--size', type=int, default=128, help='side of the drawn images, px')
    parser.add_argument('--width', type=int, default=16, help='channels of the first stage of the backbone')
    parser.add_argument('--batch', type=int, default=8, help='images of a step')
    parser.add_argument('--pretrain-images', type=int, default=1500, help='drawn for that')
    parser.add_argument('--pretrain-size', type=int, default=128, help='their side, px')
    parser.add_argument('--pretrain-iters', type=int, default=1500, help='steps on the other shapes, once for all runs')
    parser.add_argument('--pretrained', type=Path, help='take this checkpoint instead')


def draw_shapes(
    folder: Path, classes: Sequence[str], counts: dict[str, int], size: int, seed: int = 0, style: str = 'plain'
) -> Path:
    """Draw a data set of shapes unless it is there; ``counts`` says how many images ``clean`` and ``val`` have."""
    folder = folder.resolve()
    if not (folder / 'annotations/val.json').exists():
        script = ROOT / 'tools/dataset_converters/make_shapes.py'
        options = dict(partial=0, **counts, size=size, seed=seed, style=style)
        flat = [part for name, value in options.items() for part in (f'--{name}', str(value))]
        command = [sys.executable, str(script), str(folder), *flat, '--classes', *classes]
        subprocess.run(command, check=True, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    return folder


def images_of_all_seeds(args: argparse.Namespace, images: int) -> int:
    """How many to draw, where each seed has ``images`` of its own."""
    return images * max(DRAWN_SEEDS, max(args.seeds) + 1)


def write_json(content: dict, path: Path) -> str:
    """Write an annotation file whole or not at all; gives its path."""
    from mmdet.utils import atomic_write

    with atomic_write(path, shared=True) as file:  # runs that go side by side need the same files
        json.dump(content, file)
    return str(path.resolve())


def subset(coco: dict, image_ids: set[int], missing: float = 0.0, seed: int = 0, classes: Sequence[str] = ()) -> dict:
    """A part of a COCO dictionary.

    Args:
        coco: images, annotations, categories.
        image_ids: of the images that stay.
        missing: share of their boxes that is left out, at random; a lower share keeps all that a higher one keeps.
        seed: of the choice.
        classes: names of the categories whose boxes stay; none: all.
    """
    names = {category['id']: category['name'] for category in coco['categories']}
    rows = [row for row in coco['annotations'] if row['image_id'] in image_ids]
    order = np.random.default_rng([seed, 17]).permutation(len(rows))
    kept = np.sort(order[round(missing * len(rows)) :])
    rows = [rows[i] for i in kept]
    if classes:
        rows = [row for row in rows if names[row['category_id']] in classes]
    return dict(coco, images=[image for image in coco['images'] if image['id'] in image_ids], annotations=rows)


def small_config(args: argparse.Namespace, run: Run, checkpoint: Path | None) -> Any:
    """The config of a run."""
    from mmcv import Config

    cfg = Config.fromfile(CONFIG)
    shrink(cfg.model, args.width, len(run.classes))
    plain = cfg.data.train.datasets[0]
    plain.classes = cfg.data.test.classes = cfg.data.val.classes = tuple(run.classes)
    for pipeline in (plain.pipeline, cfg.data.test.pipeline):
        for step in pipeline:
            if 'img_scale' in step:
                step['img_scale'] = (args.size, args.size)
    parts = []
    for source in run.sources:
        steps = list(plain.pipeline)
        if source.directives:
            fields, values = list(source.directives), list(source.directives.values())
            steps.append(dict(type='AddFieldToImgMetas', fields=fields, values=values))
        part = dict(plain, name=source.name, ann_file=source.ann_file, img_prefix=source.img_prefix, pipeline=steps)
        parts.append(part)
    cfg.data.train = dict(type='ConcatDataset', datasets=parts) if len(parts) > 1 else parts[0]
    cfg.data.test.update(ann_file=run.test[0], img_prefix=run.test[1])
    cfg.data.update(samples_per_gpu=args.batch, workers_per_gpu=0, persistent_workers=False)
    cfg.runner = dict(type='IterBasedRunner', max_iters=run.iters)
    cfg.optimizer.lr = 0.002
    cfg.lr_config.by_epoch = False
    cfg.checkpoint_config = None
    cfg.log_config = dict(interval=max(run.iters // 10, 1), hooks=[dict(type='TextLoggerHook', by_epoch=False)])
    cfg.load_from = None if checkpoint is None else str(checkpoint)
    cfg.merge_from_dict(run.options)
    return cfg


def shrink(model: Any, width: int, num_classes: int) -> None:
    """A narrow detector that reads every directive, in place."""
    channels = 2 * width
    model.directives = dict(weights=True, ignore_negatives=True)
    model.backbone.update(base_channels=width, stem_channels=width)
    model.neck.update(in_channels=[width * factor for factor in (1, 2, 4, 8)], out_channels=channels)
    model.rpn_head.update(type='RPNHead', in_channels=channels, feat_channels=channels)
    model.roi_head.bbox_roi_extractor.out_channels = channels
    head = dict(type='Shared2FCBBoxHead', in_channels=channels, fc_out_channels=8 * width, num_classes=num_classes)
    model.roi_head.bbox_head.update(head)
    for stage in ('rpn', 'rcnn'):
        model.train_cfg[stage].sampler.type = 'RandomSampler'
    model.train_cfg.rpn_proposal.update(nms_pre=200, max_per_img=100)
    model.test_cfg.rpn.update(nms_pre=200, max_per_img=50)
    model.test_cfg.rcnn.max_per_img = 30


def run_folder(args: argparse.Namespace, run: Run) -> Path:
    """Where a run is, named by all that it depends on."""
    beginning = [args.pretrained, args.pretrain_images, args.pretrain_size, args.pretrain_iters]
    settings = [run, args.size, args.width, args.batch, beginning]
    digest = hashlib.sha256(json.dumps(settings, default=str).encode()).hexdigest()[:10]
    name = f'{run.method.replace(" ", "_").replace("/", "-")}_{run.seed}_{digest}'
    return (args.work_dir / 'runs' / name).resolve()


def train_and_test(args: argparse.Namespace, run: Run, checkpoint: Path | None) -> dict[str, float]:
    """Average precisions of a run, and its seconds; they are left in its folder."""
    folder = run_folder(args, run)
    from mmdet.apis import set_random_seed, single_gpu_test, train_detector
    from mmdet.datasets import build_dataloader, build_dataset
    from mmdet.models import build_detector
    from mmdet.utils import build_dp, get_device

    folder.mkdir(parents=True, exist_ok=True)
    cfg = small_config(args, run, checkpoint)
    cfg.merge_from_dict(dict(work_dir=str(folder), seed=run.seed, gpu_ids=[0], device=get_device()))
    started = time.monotonic()
    set_random_seed(run.seed)
    model = build_detector(cfg.model)
    model.init_weights()
    train_detector(model, build_dataset(cfg.data.train), cfg, timestamp='train')
    seconds = time.monotonic() - started
    dataset = build_dataset(cfg.data.test, dict(test_mode=True))
    loader = build_dataloader(dataset, 1, 0, dist=False, shuffle=False)
    figures = {**average_precisions(dataset, single_gpu_test(build_dp(model, cfg.device), loader)), 'seconds': seconds}
    if run.method == PRETRAINED:
        save_body(model, folder / 'body.pth')
    write_json(figures, folder / 'figures.json')
    return figures


def average_precisions(dataset: Any, found: list) -> dict[str, float]:
    """AP, AP50, and AP of each class by its name."""
    from mmdet.datasets.metrics import coco_metrics

    files, folder = dataset.format_results(found)
    try:
        places = (dataset.coco, files['bbox'], 'bbox', dataset.cat_ids, dataset.img_ids)
        thrs = coco_metrics.DEFAULT_IOU_THRS
        summary = coco_metrics.run_coco_eval(*places, (100, 300, 1000), thrs, 'silent', 'pycocotools')
    finally:
        folder.cleanup()
    names = [dataset.coco.cats[cat_id]['name'] for cat_id in summary.cat_ids]
    whole = dict(AP=summary.figures['mAP'].value, AP50=summary.figures['mAP_50'].value)
    return {name: float(value) for name, value in {**whole, **dict(zip(names, summary.class_aps))}.items()}


def save_body(model: Any, path: Path) -> None:
    """Weights of a detector without its classifier."""
    import torch

    weights = {key: value for key, value in model.state_dict().items() if not key.startswith(NEW_PARTS)}
    torch.save(dict(state_dict=weights, meta={}), path)


def pretrained(args: argparse.Namespace) -> Path:
    """The checkpoint that every run begins from; made where it is not there."""
    if args.pretrained:
        return args.pretrained.resolve()
    args = argparse.Namespace(**{**vars(args), 'size': args.pretrain_size})
    folder = args.work_dir / f'other_shapes_{args.pretrain_images}_{args.size}'
    data = draw_shapes(folder, OTHER_SHAPES, dict(clean=args.pretrain_images, val=100), args.size, seed=5)
    source = Source('other shapes', f'{data}/annotations/clean.json', f'{data}/clean/', {})
    test = (f'{data}/annotations/val.json', f'{data}/val/')
    run = Run(PRETRAINED, 0, OTHER_SHAPES, [source], test, args.pretrain_iters)
    print(f'{PRETRAINED}: {run_all(args, [run], None)[0]}', flush=True)
    return run_folder(args, run) / 'body.pth'


def _workers() -> BaseContext:
    """Starts workers from a server, which imports the package once for all of them and all calls."""
    context = get_context('forkserver')
    context.set_forkserver_preload(['mmdet.apis'])
    return context


def _start_worker(log: str, environment: dict[str, str]) -> None:
    """What a worker prints goes to a file; one thread."""
    os.environ.update(environment, OMP_NUM_THREADS='1')  # a server that others started has its own
    sys.path.insert(0, str(ROOT))
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    import torch

    torch.set_num_threads(1)


def run_all(args: argparse.Namespace, runs: list[Run], checkpoint: Path | None) -> list[dict[str, float]]:
    """Figures of all runs, in their order; made side by side where they are not there."""
    files = [run_folder(args, run) / 'figures.json' for run in runs]
    waiting = [run for run, file in zip(runs, files) if not file.exists()]
    if waiting:
        args.work_dir.mkdir(parents=True, exist_ok=True)
        log = str(args.work_dir / 'workers.txt')
        jobs = max(1, min(args.jobs, len(waiting)))
        with ProcessPoolExecutor(jobs, _workers(), initializer=_start_worker, initargs=(log, dict(os.environ))) as pool:
            started = {pool.submit(train_and_test, args, run, checkpoint): run for run in waiting}
            for number, done in enumerate(as_completed(started), len(runs) - len(waiting) + 1):
                run = started[done]
                keep_figures(args, run, done.result())
                print(f'{number}/{len(runs)} {run.method}, seed {run.seed}: AP {done.result()["AP"]:.3f}', flush=True)
    figures = [json.loads(file.read_text()) for file in files]
    for run, one in zip(runs, figures):
        keep_figures(args, run, one)
    return figures


def keep_figures(args: argparse.Namespace, run: Run, figures: dict[str, float]) -> None:
    """Put the figures of a run into the file ``args.results``, where an experiment has one."""
    if getattr(args, 'results', None) is None or run.method == PRETRAINED:
        return
    kept = json.loads(args.results.read_text()) if args.results.exists() else {}
    kept.setdefault(run.method, {})[str(run.seed)] = {key: round(value, 4) for key, value in figures.items()}
    args.results.parent.mkdir(parents=True, exist_ok=True)
    args.results.write_text(json.dumps(kept, indent=1, sort_keys=True) + '\n', encoding='utf-8')


def by_method(runs: list[Run], figures: list[dict[str, float]]) -> dict[str, list[dict[str, float]]]:
    """The figures of each method, seed by seed."""
    grouped: dict[str, list] = {}
    for run, one in zip(runs, figures):
        grouped.setdefault(run.method, []).append(one)
    return grouped


def spread(values: Sequence[float], digits: int = 3) -> str:
    """``'0.512 ± 0.013'``: mean and, of several, the deviation."""
    text = f'{mean(values):.{digits}f}'
    return text if len(values) < 2 else f'{text} ± {deviation(values):.{digits}f}'


def deviation(values: Sequence[float]) -> float:
    """Of a sample; 0 of one value."""
    return stdev(values) if len(values) > 1 else 0.0


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head."""
    lines = [rows[0], ['---'] * len(rows[0]), *rows[1:]]
    return '\n'.join(f'| {" | ".join(row)} |' for row in lines)


def write_table(text: str, page: Path) -> None:
    """Put the table between the marks of a page, or make a page of it."""
    page.parent.mkdir(parents=True, exist_ok=True)
    old = page.read_text(encoding='utf-8') if page.exists() else f'# {page.stem}\n\n{MARKS[0]}\n{MARKS[1]}\n'
    before, rest = old.split(MARKS[0], 1)
    after = rest.split(MARKS[1], 1)[1]
    page.write_text(f'{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}', encoding='utf-8')


@contextmanager
def panels(columns: int, path: Path, width: float = 0) -> Iterator[Any]:
    """Axes of a figure side by side, ``width`` inches in all; the figure is written at the end."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width or 4.2 * columns + 0.8, 4), layout='constrained')
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    yield figure.subplots(1, columns, sharey=True, squeeze=False)[0]
    figure.savefig(path, dpi=110)
