"""Two sources that annotate different classes: what the negatives of each should count against.

    python benchmarks/learning/missing_classes.py

Both sources show discs, squares, triangles and stars; the first annotates discs and squares alone, the second
triangles and stars. The methods:

* ``plain``: every region without a box is background;
* ``none``: no negative counts, in either source;
* ``labeled_classes``: negatives of the box head count against the classes that their source annotates, those of the
  RPN fully;
* ``labeled_classes, RPN soft``: and those of the RPN a fifth;
* ``labeled_classes, RPN recalibrated``: and those of the RPN do not count that it takes for objects itself;
* ``complete``: both sources with all their boxes, what could be had at best.
"""

import argparse
import json
from pathlib import Path
from statistics import mean

from experiment import (
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

CLASSES = ('disc', 'square', 'triangle', 'star')
ANNOTATED = dict(first=('disc', 'square'), second=('triangle', 'star'))
COMPLETE = 'complete'
NAMES_CLASSES = 'labeled_classes'  # methods of this beginning say which classes a source annotates
# what else holds for the images of both sources
METHODS = {
    'plain': {},
    'none': dict(negatives='none'),
    NAMES_CLASSES: {},
    f'{NAMES_CLASSES}, RPN soft': {'rpn_head.negatives': dict(type='soft', weight=0.2)},
    f'{NAMES_CLASSES}, RPN recalibrated': {'rpn_head.negatives': dict(type='recalibrate', score_thr=0.3, warmup=50)},
    COMPLETE: {},
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_options(parser)
    parser.add_argument('--images', type=int, default=120, help='training images of each source')
    parser.add_argument('--val-images', type=int, default=300)
    parser.add_argument('--iters', type=int, default=300, help='steps of each run')
    parser.add_argument('--methods', nargs='+', default=list(METHODS), choices=METHODS)
    return parser.parse_args(argv)


def directives(method: str, annotated: tuple[str, ...]) -> dict[str, object]:
    """What a source says of its images under a method."""
    named = {'labeled_classes': list(annotated)} if method.startswith(NAMES_CLASSES) else {}
    return named | METHODS[method]


def runs_of_seed(args: argparse.Namespace, seed: int, data: Path, coco: dict) -> list[Run]:
    """One run for each method."""
    test = (f'{data}/annotations/val.json', f'{data}/val/')
    first = 2 * seed * args.images
    ids = [image['id'] for image in coco['images']][first : first + 2 * args.images]
    runs = []
    for method in args.methods:
        sources = []
        for i, (name, annotated) in enumerate(ANNOTATED.items()):
            part = set(ids[i * args.images : (i + 1) * args.images])
            kept = CLASSES if method == COMPLETE else annotated
            stem = f'{name}_{args.images}_{args.size}_{seed}_{"_".join(kept)}'
            path = write_json(subset(coco, part, classes=kept), args.work_dir / 'annotations' / f'{stem}.json')
            sources.append(Source(name, path, f'{data}/clean/', directives(method, annotated)))
        runs.append(Run(method, seed, CLASSES, sources, test, args.iters))
    return runs


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """One row for each method: AP of all classes and of each."""
    keys = ('AP', 'AP50', *CLASSES)
    rows = [['negatives', *keys]]
    rows += [[method, *(spread([one[key] for one in runs]) for key in keys)] for method, runs in results.items()]
    return markdown(rows)


def plot(results: dict[str, list[dict[str, float]]], path: Path) -> None:
    """AP of each class, a bar for each method."""
    with panels(1, path, width=9) as (panel,):
        wide = 0.8 / len(results)
        keys = ('AP', *CLASSES)
        for i, (method, runs) in enumerate(results.items()):
            values = [[one[key] for one in runs] for key in keys]
            places = [k + (i - len(results) / 2 + 0.5) * wide for k in range(len(keys))]
            errors = [deviation(v) for v in values]
            panel.bar(places, [mean(v) for v in values], 0.9 * wide, yerr=errors, capsize=2, label=method)
        panel.set_xticks(range(len(keys)), ['all', *CLASSES])
        panel.set_ylabel('average precision')
        panel.legend(fontsize='small')


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    checkpoint = pretrained(args)
    count = images_of_all_seeds(args, 2 * args.images)
    folder = args.work_dir / f'four_shapes_{count}_{args.val_images}_{args.size}'
    data = draw_shapes(folder, CLASSES, dict(clean=count, val=args.val_images), args.size)
    coco = json.loads((data / 'annotations/clean.json').read_text())
    runs = [run for seed in args.seeds for run in runs_of_seed(args, seed, data, coco)]
    results = by_method(runs, run_all(args, runs, checkpoint))
    text = table(results)
    plot(results, args.out_dir / 'missing_classes.png')
    write_table(text, args.out_dir / 'missing_classes.md')
    print(text)


if __name__ == '__main__':
    main()
