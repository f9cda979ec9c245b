"""How much each head should learn from a large biased source beside a small true one: sweeps of the weights.

    python benchmarks/learning/head_weights.py

The *real* source are a few images of shapes at dusk (other colours, contrast, sharpness, noise), truly annotated. The
*synthetic* source are many plain shapes; their boxes are too large by a fifth on each axis, and one in five has the
label of another class. Every batch is half of each. The synthetic images' losses are weighted: those of the RPN with
0, 0.1, 0.3 and 1 while the RoI head takes them fully, then the other way round, then both alike. ``real alone`` has
batches of real images only. Tests are on real images.
"""

import argparse
import json
from pathlib import Path
from statistics import mean

import numpy as np
from experiment import (
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

REAL_ALONE = 'real alone'
SWEEPS = ('RPN', 'RoI head', 'both')
ENLARGED = 1.2
MISLABELLED = 0.2


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_options(parser)
    parser.add_argument('--images', type=int, default=40, help='real training images')
    parser.add_argument('--synthetic-images', type=int, default=400)
    parser.add_argument('--val-images', type=int, default=300)
    parser.add_argument('--iters', type=int, default=200, help='steps of each run')
    parser.add_argument('--weights', nargs='+', type=float, default=[0, 0.1, 0.3, 1])
    return parser.parse_args(argv)


def biased(coco: dict, seed: int) -> dict:
    """A copy of a COCO dictionary with boxes that are too large and some labels of other classes."""
    rng = np.random.default_rng([seed, 29])
    ids = [category['id'] for category in coco['categories']]
    rows = []
    for row in coco['annotations']:
        x, y, w, h = row['bbox']
        grown = [x - (ENLARGED - 1) / 2 * w, y - (ENLARGED - 1) / 2 * h, ENLARGED * w, ENLARGED * h]
        others = [i for i in ids if i != row['category_id']]
        label = int(rng.choice(others)) if rng.random() < MISLABELLED else row['category_id']
        rows.append(dict(row, bbox=grown, area=grown[2] * grown[3], category_id=label))
    return dict(coco, annotations=rows)


def settings(weights: list[float]) -> dict[str, tuple[float, float]]:
    """Weights of RPN and RoI head of each method; ``0/0`` would be `REAL_ALONE` with half of the images."""
    pairs = [pair for w in weights for pair in ((w, 1.0), (1.0, w), (w, w)) if pair != (0, 0)]
    return {f'{rpn:g}/{roi:g}': (rpn, roi) for rpn, roi in sorted(set(pairs))}


def sweep(name: str, weights: list[float]) -> list[tuple[float, str]]:
    """Weight and method of each point of a sweep."""
    pairs = dict(zip(SWEEPS, ([(w, 1) for w in weights], [(1, w) for w in weights], [(w, w) for w in weights])))
    return [(w, f'{rpn:g}/{roi:g}') for w, (rpn, roi) in zip(weights, pairs[name]) if (rpn, roi) != (0, 0)]


def runs_of_seed(args: argparse.Namespace, seed: int, real: Path, synthetic: Path) -> list[Run]:
    """One run for each pair of weights, and the real images alone."""
    test = (f'{real}/annotations/val.json', f'{real}/val/')
    files = args.work_dir / 'annotations'
    coco = json.loads((real / 'annotations/clean.json').read_text())
    ids = [image['id'] for image in coco['images']][seed * args.images : (seed + 1) * args.images]
    path = write_json(subset(coco, set(ids)), files / f'real_{args.images}_{args.size}_{seed}.json')
    true = Source('real', path, f'{real}/clean/', {})
    coco = biased(json.loads((synthetic / 'annotations/clean.json').read_text()), seed)
    path = write_json(coco, files / f'synthetic_{args.synthetic_images}_{args.size}_{seed}.json')
    runs = [Run(REAL_ALONE, seed, SHAPES, [true], test, args.iters)]
    for method, (rpn, roi) in settings(args.weights).items():
        said = {'rpn_head.loss_weight': rpn, 'roi_head.loss_weight': roi}
        sources = [true, Source('synthetic', path, f'{synthetic}/clean/', said)]
        runs.append(Run(method, seed, SHAPES, sources, test, args.iters, {'data.source_ratio': [1, 1]}))
    return runs


def table(args: argparse.Namespace, results: dict[str, list[dict[str, float]]]) -> str:
    """One row for each sweep, one column for each weight: AP, mean and deviation over the seeds."""
    rows = [['weight of synthetic images in', *(f'{w:g}' for w in args.weights)]]
    for name in SWEEPS:
        points = dict(sweep(name, args.weights))
        cells = [spread([one['AP'] for one in results[points[w]]]) if w in points else '' for w in args.weights]
        rows.append([name, *cells])
    alone = spread([one['AP'] for one in results[REAL_ALONE]])
    return f'{markdown(rows)}\n\n{REAL_ALONE}: {alone}'


def plot(args: argparse.Namespace, results: dict[str, list[dict[str, float]]], path: Path) -> None:
    """AP over the weight, a line for each sweep."""
    with panels(1, path, width=7) as (panel,):
        alone = [one['AP'] for one in results[REAL_ALONE]]
        panel.axhline(mean(alone), color='black', label=REAL_ALONE)
        panel.axhspan(mean(alone) - deviation(alone), mean(alone) + deviation(alone), color='black', alpha=0.08)
        for shift, name in zip((-0.06, 0, 0.06), SWEEPS):
            points = sweep(name, args.weights)
            places = [args.weights.index(w) + shift for w, _ in points]
            values = [[one['AP'] for one in results[method]] for _, method in points]
            errors = [deviation(v) for v in values]
            panel.errorbar(places, [mean(v) for v in values], errors, marker='o', capsize=2, label=name)
        panel.set_xticks(range(len(args.weights)), [f'{w:g}' for w in args.weights])
        panel.set_xlabel('loss weight of synthetic images')
        panel.set_ylabel('average precision on real images')
        panel.legend()


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    args.weights = sorted({*args.weights, 1.0})
    checkpoint = pretrained(args)
    count = images_of_all_seeds(args, args.images)
    folder, counts = f'real_{count}_{args.val_images}_{args.size}', dict(clean=count, val=args.val_images)
    real = draw_shapes(args.work_dir / folder, SHAPES, counts, args.size, seed=1, style='dusk')
    folder, counts = f'synthetic_{args.synthetic_images}_{args.size}', dict(clean=args.synthetic_images, val=1)
    synthetic = draw_shapes(args.work_dir / folder, SHAPES, counts, args.size, seed=2)
    runs = [run for seed in args.seeds for run in runs_of_seed(args, seed, real, synthetic)]
    results = by_method(runs, run_all(args, runs, checkpoint))
    text = table(args, results)
    plot(args, results, args.out_dir / 'head_weights.png')
    write_table(text, args.out_dir / 'head_weights.md')
    print(text)


if __name__ == '__main__':
    main()
