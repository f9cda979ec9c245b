"""What domain adaptation is worth on drawn shapes: source only, adapted, oracle; a table and a plot.

    python benchmarks/learning/domain_adaptation.py --work-dir work_dirs/domain_adaptation

The source are plain shapes with boxes, the target are shapes "at dusk" (other colours, contrast, sharpness and noise),
whose boxes only the oracle sees. For each seed a detector is trained on the source first; every method goes on from
that one, for as many steps, with as many annotated source images a step:

* ``source``: the source alone;
* ``statistics``: the target's images are in the batches too, without annotations and without domain classifiers, so
  that normalisation layers see them and nothing else does;
* ``image``, ``instance``, ``both``: with the domain classifier of feature maps, of RoIs, or both and the consistency
  loss (Chen et al. 2018);
* ``oracle``: source and target, both annotated.

A run whose result is there is not repeated, and one that was cut off goes on. A GPU is used where there is one, and
deserves more images and steps.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from typing import Any

from mmdet.apis import init_detector, single_gpu_test
from mmdet.datasets import build_dataloader, build_dataset
from mmdet.utils import build_dp, get_device
from mmdet.utils.running.json_log import latest_json_log, read_json_log

from experiment import deviation, markdown, panels, spread, write_table
from mmcv import Config

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/demo/faster_rcnn_r18_fpn_adapt.py'
STYLES = dict(source='plain', target='dusk')
PRETRAINING = 'pretraining'
ON_SOURCE = (PRETRAINING, 'source')  # trained on the source alone
ADAPTED = ('image', 'instance', 'both')
METHODS = ('source', 'statistics', *ADAPTED, 'oracle')
FIGURES = ('target', 'target_50', 'source')  # average precision on the validation sets; 50: at IoU 0.5
LOGGED = ('acc_domain_image', 'acc_domain_instance')
LAST_ROWS = 5  # of the log, that accuracies are averaged over


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/domain_adaptation'))
    parser.add_argument('--out-dir', type=Path, default=ROOT / 'docs/experiments', help='for the table and the plot')
    parser.add_argument('--methods', nargs='+', default=list(METHODS), choices=METHODS)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--images', type=int, default=400, help='training images of each domain')
    parser.add_argument('--val-images', type=int, default=100, help='validation images of each domain')
    parser.add_argument('--size', type=int, default=128, help='side of the images, px')
    parser.add_argument('--pretrain-iters', type=int, default=600, help='steps on the source, before all methods')
    parser.add_argument('--iters', type=int, default=300, help='steps of each method')
    parser.add_argument('--batch', type=int, default=8, help='source images a step; as many of the target, on average')
    parser.add_argument('--width', type=int, default=32, help='channels of the first stage of the backbone')
    parser.add_argument('--loss-weight', type=float, default=0.1, help='of the domain losses')
    parser.add_argument('--strength', type=float, default=1.0, help='of the reversal at the end of its ramp')
    parser.add_argument('--threads', type=int, default=2)
    return parser.parse_args(argv)


def draw_data(args: argparse.Namespace) -> None:
    """Draw what is missing of both domains; they show different scenes."""
    script = ROOT / 'tools/dataset_converters/make_shapes.py'
    for seed, (domain, style) in enumerate(STYLES.items()):
        folder = data_folder(args, domain)
        if (folder / 'annotations/val.json').exists():
            continue
        counts = ('--clean', args.images, '--partial', 0, '--val', args.val_images, '--size', args.size)
        command = [sys.executable, script, folder, *counts, '--max-objects', 4, '--style', style, '--seed', seed]
        subprocess.run([str(part) for part in command], check=True)


def data_folder(args: argparse.Namespace, domain: str) -> Path:
    """The folder of one domain's data."""
    return args.work_dir.resolve() / f'data_{args.images}_{args.val_images}_{args.size}' / domain


def data_set(args: argparse.Namespace, domain: str, part: str) -> dict[str, Any]:
    """The changed keys of a data set's config: ``part`` (``'clean'`` or ``'val'``) of one domain."""
    folder = data_folder(args, domain)
    return dict(ann_file=f'{folder}/annotations/{part}.json', img_prefix=f'{folder}/{part}/')


def run_config(args: argparse.Namespace, method: str) -> Config:
    """The config of one run."""
    cfg = Config.fromfile(CONFIG)
    source, target = cfg.data.train.datasets
    source.update(data_set(args, 'source', 'clean'))
    target.update(data_set(args, 'target', 'clean'))
    cfg.data.val.update(data_set(args, 'target', 'val'))
    cfg.data.test.update(data_set(args, 'target', 'val'))
    if method in ON_SOURCE:
        cfg.data.train.datasets = [source]
    if method == 'oracle':
        target.pipeline[-1] = dict(type='AddFieldToImgMetas', fields=['domain'], values=[1])
    for pipeline in (*(part.pipeline for part in (source, target)), cfg.data.val.pipeline, cfg.data.test.pipeline):
        for step in pipeline:
            if 'img_scale' in step:
                step['img_scale'] = (args.size, args.size)
    cfg.data.update(
        samples_per_gpu=args.batch if method in ON_SOURCE else 2 * args.batch,
        workers_per_gpu=0,
        persistent_workers=False,
    )
    set_model(cfg.model, args, method)
    iters = args.pretrain_iters if method == PRETRAINING else args.iters
    cfg.runner = dict(type='IterBasedRunner', max_iters=iters)
    cfg.lr_config.by_epoch = False
    cfg.checkpoint_config = dict(interval=max(iters // 3, 1), max_keep_ckpts=1, by_epoch=False)
    cfg.custom_hooks = [dict(type='NumClassCheckHook')]
    cfg.log_config = dict(interval=max(iters // 20, 1), hooks=[dict(type='TextLoggerHook', by_epoch=False)])
    return cfg


def set_model(model: dict, args: argparse.Namespace, method: str) -> None:
    """Width of the backbone, and the domain classifiers of a method."""
    model['backbone'].update(base_channels=args.width, stem_channels=args.width)
    model['neck']['in_channels'] = [args.width * factor for factor in (1, 2, 4, 8)]
    domain = model['train_cfg'].pop('domain')
    if method not in ADAPTED:
        return
    domain['reversal']['value'] = args.strength
    for part in ('image', 'instance'):
        domain[part]['loss_weight'] = args.loss_weight
    domain['consistency_weight'] = args.loss_weight if method == 'both' else 0.0
    for part in ('image', 'instance'):
        if method not in (part, 'both'):
            domain[part] = None
    model['train_cfg']['domain'] = domain


def run_folder(args: argparse.Namespace, method: str, seed: int) -> Path:
    """Where a run is, named by all that it depends on."""
    name = f'{method}_{args.images}_{args.size}_{args.batch}_{args.width}_{args.pretrain_iters}'
    if method != PRETRAINING:
        name += f'_{args.iters}'
    if method in ADAPTED:
        name += f'_{args.loss_weight:g}_{args.strength:g}'
    return args.work_dir / f'{name}_{seed}'


def train(args: argparse.Namespace, method: str, seed: int) -> Config:
    """Train one run, or what is left of it; gives its config."""
    folder = run_folder(args, method, seed)
    cfg = run_config(args, method)
    if method != PRETRAINING:
        cfg.load_from = str(run_folder(args, PRETRAINING, seed).resolve() / 'latest.pth')
    if (folder / 'done').exists():
        return cfg
    folder.mkdir(parents=True, exist_ok=True)
    cfg.dump(str(folder / 'run.py'))
    command = [ROOT / 'tools/train.py', folder / 'run.py', '--work-dir', folder, '--seed', seed]
    env = {**os.environ, 'OMP_NUM_THREADS': str(args.threads), 'MPLBACKEND': 'Agg', 'PYTHONPATH': str(ROOT)}
    with (folder / 'train.txt').open('a') as out:
        whole = [sys.executable, *map(str, command), '--auto-resume', '--no-validate']
        subprocess.run(whole, env=env, check=True, stdout=out, stderr=out)
    (folder / 'done').touch()
    return cfg


def run(args: argparse.Namespace, method: str, seed: int) -> dict[str, float]:
    """The figures of one method; trains and tests where they are not there yet."""
    folder = run_folder(args, method, seed)
    result = folder / 'figures.json'
    if result.exists():
        return json.loads(result.read_text())
    train(args, PRETRAINING, seed)
    started = time.monotonic()
    cfg = train(args, method, seed)
    seconds = time.monotonic() - started
    figures = {**test(args, cfg, folder / 'latest.pth'), 'seconds': seconds}
    rows = [row for row in read_json_log(latest_json_log(folder)) if row.get('mode') == 'train'][-LAST_ROWS:]
    figures.update({key: mean(row[key] for row in rows) for key in LOGGED if key in rows[-1]})
    result.write_text(json.dumps(figures))
    return figures


def test(args: argparse.Namespace, cfg: Config, checkpoint: Path) -> dict[str, float]:
    """Average precision on the validation sets of both domains."""
    figures = {}
    for domain in STYLES:
        part = {**cfg.data.test, **data_set(args, domain, 'val')}
        dataset = build_dataset(part, dict(test_mode=True))
        loader = build_dataloader(dataset, 1, 0, dist=False, shuffle=False)
        device = get_device()
        model = init_detector(cfg, str(checkpoint), device)
        scores = dataset.evaluate(single_gpu_test(build_dp(model, device), loader), metric='bbox', logger='silent')
        figures.update({domain: scores['bbox_mAP'], f'{domain}_50': scores['bbox_mAP_50']})
    return figures


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """Markdown rows, one a method: means and deviations over the seeds."""
    rows = [['method', 'AP, target', 'AP50, target', 'AP, source', 'places told, %', 'RoIs told, %']]
    for method, runs in results.items():
        cells = [spread([one[key] for one in runs]) for key in FIGURES]
        cells += [spread([one[key] for one in runs], 1) if key in runs[0] else '' for key in LOGGED]
        rows.append([method, *cells])
    return markdown(rows)


def plot(results: dict[str, list[dict[str, float]]], path: Path) -> None:
    """A bar with its deviation, and a point for each seed, for each method and domain."""
    with panels(1, path, width=7) as (panel,):
        for shift, domain in ((-0.2, 'target'), (0.2, 'source')):
            values = [[one[domain] for one in runs] for runs in results.values()]
            places = [i + shift for i in range(len(values))]
            errors = [deviation(v) for v in values]
            panel.bar(
                places, [mean(v) for v in values], 0.36, yerr=errors, capsize=3, label=f'on the {domain}', alpha=0.7
            )
            for place, points in zip(places, values):
                panel.scatter([place] * len(points), points, s=10, color='black', zorder=3)
        panel.set_xticks(range(len(results)), list(results))
        panel.set_ylabel('average precision')
        panel.legend()


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    draw_data(args)
    results: dict[str, list[dict[str, float]]] = {method: [] for method in args.methods}
    for seed in args.seeds:  # seed by seed: a run that is cut off has something to say of every method
        for method in args.methods:
            results[method].append(run(args, method, seed))
            print(f'{method}, seed {seed}: {results[method][-1]}', flush=True)
    text = table(results)
    write_table(text, args.out_dir / 'domain_adaptation.md')
    plot(results, args.out_dir / 'domain_adaptation.png')
    print(text)


if __name__ == '__main__':
    main()
