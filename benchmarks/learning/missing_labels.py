"""What images are worth that miss some of their boxes: the share of such images against the share that they miss.

    python benchmarks/learning/missing_labels.py
    python benchmarks/learning/missing_labels.py --data PATH_OF_BCCD

Of a training set a part is *incomplete*: a share of its boxes is removed at random. The policies:

* ``clean alone``: the complete images, the incomplete ones left out;
* ``plain``: all images, every region without a box is background;
* ``none``: in incomplete images no negative counts;
* ``soft``: they count a fifth;
* ``overlap``: they count by their overlap with the boxes that are there;
* ``recalibrate``: those do not count that the detector itself takes for objects;
* ``complete``: all images with all their boxes, what could be had at best.

All have as many steps. ``--data`` takes the blood cells of BCCD (VOC format) in the place of drawn shapes.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from experiment import (
    ROOT,
    SHAPES,
    Run,
    Source,
    add_common_options,
    by_method,
    deviation,
    draw_shapes,
    images_of_all_seeds,
    markdown,
    panels,
    pretrained,
    run_all,
    spread,
    subset,
    write_json,
    write_table,
)

POLICIES = {
    'plain': {},
    'none': dict(negatives='none'),
    'soft': dict(negatives=dict(type='soft', weight=0.2)),
    'overlap': dict(negatives='overlap'),
    'recalibrate': dict(negatives=dict(type='recalibrate', score_thr=0.3, warmup=50)),
}
CELLS = ('RBC', 'WBC', 'Platelets')
CLEAN, COMPLETE = 'clean alone', 'complete'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_options(parser)
    parser.add_argument('--data', type=Path, help='folder of BCCD; else shapes are drawn')
    parser.add_argument('--images', type=int, default=120, help='training images')
    parser.add_argument('--val-images', type=int, default=300)
    parser.add_argument('--iters', type=int, default=200, help='steps of each run')
    parser.add_argument('--missing', nargs='+', type=int, default=[30, 50, 70], help='%% of their boxes')
    parser.add_argument('--shares', nargs='+', type=int, default=[5, 20, 50], help='%% of the images are incomplete')
    parser.add_argument('--policies', nargs='+', default=list(POLICIES), choices=POLICIES)
    return parser.parse_args(argv)


def shapes(args: argparse.Namespace) -> tuple[dict, str, tuple[str, str]]:
    """Drawn data: annotations and folder of enough images for all seeds, and what is tested on."""
    count = images_of_all_seeds(args, args.images)
    counts = dict(clean=count, val=args.val_images)
    data = draw_shapes(args.work_dir / f'shapes_{count}_{args.val_images}_{args.size}', SHAPES, counts, args.size)
    coco = json.loads((data / 'annotations/clean.json').read_text())
    return coco, f'{data}/clean/', (f'{data}/annotations/val.json', f'{data}/val/')


def blood_cells(args: argparse.Namespace) -> tuple[dict, str, tuple[str, str]]:
    """BCCD: its training part, and its test part as it is."""
    folder, root = (args.work_dir / 'bccd').resolve(), args.data.resolve()
    if not (folder / 'test.json').exists():
        script = ROOT / 'tools/dataset_converters/pascal_voc.py'
        command = [sys.executable, script, root, '--out-dir', folder, '--out-format', 'coco']
        subprocess.run([str(part) for part in command], check=True)
    coco = json.loads((folder / 'train.json').read_text())
    return coco, f'{root}/', (f'{folder}/test.json', f'{root}/')


def training_images(args: argparse.Namespace, coco: dict, seed: int) -> list[int]:
    """Ids of a seed's training images, in an order of its own: the first ones become incomplete."""
    ids = [image['id'] for image in coco['images']]
    if not args.data:
        ids = ids[seed * args.images : (seed + 1) * args.images]
    return [int(i) for i in np.random.default_rng([seed, 3]).permutation(ids)]


def runs_of_seed(args: argparse.Namespace, seed: int, data: tuple[dict, str, tuple[str, str]]) -> list[Run]:
    """All runs of a seed; their methods are ``policy``, or ``policy/share/missing``."""
    coco, images, test = data
    classes = CELLS if args.data else SHAPES
    order = training_images(args, coco, seed)
    files = args.work_dir / 'annotations'
    stem = f'{"bccd" if args.data else f"shapes_{args.images}_{args.size}"}_{seed}'

    def source(name: str, ids: list[int], missing: int = 0, **directives: object) -> Source:
        part = subset(coco, set(ids), missing / 100, seed)
        return Source(name, write_json(part, files / f'{stem}_{name}_{len(ids)}_{missing}.json'), images, directives)

    def run(method: str, *sources: Source) -> Run:
        return Run(method, seed, classes, list(sources), test, args.iters)

    runs = [run(COMPLETE, source('all', order))]
    for share in args.shares:
        count = round(share / 100 * len(order))
        incomplete, clean = order[:count], source('clean', order[count:])
        runs.append(run(f'{CLEAN}/{share}', clean))
        for missing in args.missing:
            for policy in args.policies:
                other = source('incomplete', incomplete, missing, **POLICIES[policy])
                runs.append(run(f'{policy}/{share}/{missing}', clean, other))
    return runs


def table(args: argparse.Namespace, results: dict[str, list[dict[str, float]]]) -> str:
    """One row for each share and rate, one column for each policy: AP, mean and deviation over the seeds."""

    def cell(method: str) -> str:
        return spread([one['AP'] for one in results[method]])

    rows = [['incomplete images, %', 'boxes they miss, %', CLEAN, *args.policies, COMPLETE]]
    for share in args.shares:
        for missing in args.missing:
            methods = [f'{CLEAN}/{share}', *(f'{policy}/{share}/{missing}' for policy in args.policies), COMPLETE]
            rows.append([str(share), str(missing), *map(cell, methods)])
    return markdown(rows)


def plot(args: argparse.Namespace, results: dict[str, list[dict[str, float]]], path: Path) -> None:
    """AP over the rate of missing boxes, a panel for each share of incomplete images."""
    with panels(len(args.shares), path) as axes:
        for share, panel in zip(args.shares, axes):
            plot_share(args, results, share, panel)
        axes[0].set_ylabel('average precision')
        axes[0].legend(fontsize='small')


def plot_share(args: argparse.Namespace, results: dict[str, list[dict[str, float]]], share: int, panel: Any) -> None:
    """One panel: a line for each policy, and what does not depend on the rate."""
    panel.set_title(f'{share} % of the images incomplete')
    panel.set_xlabel('boxes they miss, %')
    panel.set_xticks(args.missing)
    for name, style in ((COMPLETE, '--'), (f'{CLEAN}/{share}', '-')):
        values = [one['AP'] for one in results[name]]
        middle, wide = np.mean(values), deviation(values)
        panel.axhline(middle, linestyle=style, color='black', label=name.split('/')[0])
        panel.axhspan(middle - wide, middle + wide, color='black', alpha=0.08)
    for i, policy in enumerate(args.policies):
        values = [[one['AP'] for one in results[f'{policy}/{share}/{missing}']] for missing in args.missing]
        places = np.array(args.missing) + (i - len(args.policies) / 2)  # beside each other
        errors = [deviation(v) for v in values]
        panel.errorbar(places, [np.mean(v) for v in values], errors, marker='o', capsize=2, label=policy)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    checkpoint = pretrained(args)
    data = blood_cells(args) if args.data else shapes(args)
    runs = [run for seed in args.seeds for run in runs_of_seed(args, seed, data)]
    results = by_method(runs, run_all(args, runs, checkpoint))
    name = 'missing_labels_bccd' if args.data else 'missing_labels'
    text = table(args, results)
    plot(args, results, args.out_dir / f'{name}.png')
    write_table(text, args.out_dir / f'{name}.md')
    print(text)


if __name__ == '__main__':
    main()
