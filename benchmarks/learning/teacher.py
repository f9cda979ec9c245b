"""What a teacher is worth (`model.teacher`) where labels are missing: in all images, by class, or of most images.

    python benchmarks/learning/teacher.py boxes
    python benchmarks/learning/teacher.py classes --seeds 0 1 2
    python benchmarks/learning/teacher.py images --labelled 10
    python benchmarks/learning/teacher.py boxes --coco train.json train/ val.json val/

* ``boxes``: of ALL training images a share of the boxes is removed at random (`--missing`; `one`: one box an image
  stays). Methods: `plain`, the policies `overlap` and `soft`, `teacher`, `teacher overlap`, `complete`.
* ``classes``: two sources, of which each has boxes of half of the classes. Methods: `plain`, `labeled classes`,
  `teacher`, `teacher labeled classes`, `complete`.
* ``images``: a share of the images is labelled, the others not at all. Methods: `labelled only`, `teacher`, `complete`.

All runs have as many steps. `--first` trains a detector on what is labelled for so many steps, once for each setting
and seed, from which all methods go on; `complete` then has all labels from there on. Where images have no labels, half
of each batch of a teacher is of the labelled ones.

Beside the average precision stand how much of the gap between the first method and `complete` a method recovers, and AP
by that of `complete`. Runs that are there are not repeated; their figures are in `--results` as soon as they are known.
`--scratch` begins from nothing in the place of a detector of other shapes; `--coco` takes photos in the place of drawn
shapes.
"""

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

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
    run_folder,
    spread,
    subset,
    write_json,
    write_table,
)

COMPLETE, TEACHER, ONE, UNLABELLED, FIRST, HALF = 'complete', 'teacher', 'one', 'unlabelled', 'first', 'half'
ASKING: dict[str, Any] = dict(pseudo_labels='complete')
POLICIES: dict[str, dict[str, Any]] = {
    'plain': {},
    'overlap': dict(negatives='overlap'),
    'soft': dict(negatives=dict(type='soft', weight=0.2)),
}
METHODS = dict(
    boxes=['plain', 'overlap', 'soft', TEACHER, f'{TEACHER} overlap', COMPLETE],
    classes=['plain', 'labeled classes', TEACHER, f'{TEACHER} labeled classes', COMPLETE],
    images=['labelled only', TEACHER, COMPLETE],
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('what', choices=METHODS, help='what is missing')
    add_common_options(parser)
    parser.add_argument('--coco', nargs=4, metavar=('TRAIN', 'IMAGES', 'TEST', 'IMAGES'), help='photos, not shapes')
    parser.add_argument('--scratch', action='store_true', help='begin from nothing')
    parser.add_argument('--images', type=int, default=300, help='training images of a seed')
    parser.add_argument('--val-images', type=int, default=300)
    parser.add_argument('--iters', type=int, default=1500, help='steps of each run')
    parser.add_argument('--first', type=int, default=0, help='plain steps from which all methods of a setting go on')
    parser.add_argument('--missing', nargs='+', default=['30', '50', '70', ONE], help='%% of the boxes, or one')
    parser.add_argument('--labelled', type=int, default=10, help='%% of the images, of `images`')
    parser.add_argument('--methods', nargs='+', help='some of those of the text above')
    parser.add_argument('--results', type=Path, help='JSON file of all figures; default: beside this script')
    parser.add_argument('--teacher', type=json.loads, default={}, help='further arguments of model.teacher, JSON')
    args = parser.parse_args(argv)
    known = METHODS[args.what]
    wrong = [method for method in args.methods or () if method not in known]
    if wrong:
        parser.error(f'--methods: {wrong} are none of {known}')
    args.methods = args.methods or known
    kind = f'{"_photos" if args.coco else ""}{"_scratch" if args.scratch else ""}'
    args.name = f'teacher_{args.what}{kind}'
    args.results = args.results or Path(__file__).with_name(f'{args.name}.json')
    return args


def data_of(args: argparse.Namespace) -> tuple[dict, str, tuple[str, str]]:
    """Annotations and folder of the training images, and what is tested on."""
    if args.coco:
        train, images, test, test_images = (str(Path(path).resolve()) for path in args.coco)
        return json.loads(Path(train).read_text()), f'{images}/', (test, f'{test_images}/')
    count = images_of_all_seeds(args, args.images)
    counts = dict(clean=count, val=args.val_images)
    data = draw_shapes(args.work_dir / f'shapes_{count}_{args.val_images}_{args.size}', SHAPES, counts, args.size)
    coco = json.loads((data / 'annotations/clean.json').read_text())
    return coco, f'{data}/clean/', (f'{data}/annotations/val.json', f'{data}/val/')


def one_an_image(coco: dict, seed: int) -> dict:
    """A COCO dictionary with one box of each image, chosen at random."""
    order = np.random.default_rng([seed, 29]).permutation(len(coco['annotations']))
    chosen = {coco['annotations'][i]['image_id']: i for i in order}
    return dict(coco, annotations=[coco['annotations'][i] for i in sorted(chosen.values())])


class Plan:
    """The runs of one seed."""

    def __init__(self, args: argparse.Namespace, seed: int, data: tuple[dict, str, tuple[str, str]]) -> None:
        self.args, self.seed = args, seed
        self.coco, self.images, self.test = data
        self.classes = tuple(category['name'] for category in self.coco['categories'])
        ids = [image['id'] for image in self.coco['images']]
        start = 0 if args.coco else seed * args.images
        self.ids = [int(i) for i in np.random.default_rng([seed, 3]).permutation(ids[start : start + args.images])]

    def source(self, name: str, content: dict, **directives: Any) -> Source:
        """Images with the annotations of ``content``."""
        args = self.args
        kind = 'photos' if args.coco else f'shapes_{args.images}_{args.size}'
        folder = args.work_dir / 'annotations' / f'teacher_{kind}_{self.seed}'
        return Source(name, write_json(content, folder / f'{name.replace(" ", "_")}.json'), self.images, directives)

    def run(self, method: str, setting: str, *sources: Source) -> Run:
        """One run; with a teacher where its method says so."""
        name = f'{method}/{setting}' if setting else method
        options: dict[str, Any] = {}
        if self.args.first:
            options['load_from'] = str(run_folder(self.args, self.first(setting)) / 'latest.pth')
        if method.startswith(TEACHER):
            options['model.teacher'] = dict(evaluate=TEACHER, **self.args.teacher)
        for number, source in enumerate(sources):
            if source.name.startswith(UNLABELLED):
                options[f'data.train.datasets.{number}.filter_empty_gt'] = False
                half = self.args.batch // 2
                options['data.train_dataloader'] = dict(source_ratio=[self.args.batch - half, half])
        return Run(name, self.seed, self.classes, list(sources), self.test, self.args.iters, options)

    def first(self, setting: str) -> Run:
        """The plain training of a setting from which its methods go on."""
        sources = dict(
            boxes=lambda: [self.source(f'without {setting}', self.incomplete(setting))],
            classes=lambda: self.halves('plain'),
            images=lambda: [self.labelled()],
        )[self.args.what]()
        saving = {'checkpoint_config': dict(_delete_=True, interval=self.args.first, by_epoch=False)}
        return Run(f'{FIRST}/{setting}', self.seed, self.classes, sources, self.test, self.args.first, saving)

    def boxes(self) -> list[Run]:
        """Boxes are missing in all images."""
        whole = self.source('all', subset(self.coco, set(self.ids)))
        runs = [self.run(COMPLETE, '', whole)] if COMPLETE in self.args.methods and not self.args.first else []
        for missing in self.args.missing:
            content = self.incomplete(missing)
            for method in self.args.methods:
                if method == COMPLETE:
                    runs += [self.run(method, missing, whole)] if self.args.first else []
                else:
                    own = POLICIES[method.removeprefix(TEACHER).strip() or 'plain']
                    asking = ASKING if method.startswith(TEACHER) else {}
                    runs.append(self.run(method, missing, self.source(f'without {missing}', content, **own, **asking)))
        return runs

    def incomplete(self, missing: str) -> dict:
        """The images without some of their boxes, as `--missing` says it."""
        if missing == ONE:
            return one_an_image(subset(self.coco, set(self.ids)), self.seed)
        return subset(self.coco, set(self.ids), int(missing) / 100, self.seed)

    def classes_of_sources(self) -> list[Run]:
        """Each of two sources has boxes of half of the classes."""
        return [self.run(method, HALF, *self.halves(method)) for method in self.args.methods]

    def halves(self, method: str) -> list[Source]:
        """Two sources, of which each has half of the images and boxes of half of the classes."""
        half = len(self.classes) // 2
        sources = []
        for number, own in enumerate((self.classes[:half], self.classes[half:])):
            complete = method == COMPLETE
            content = subset(self.coco, set(self.ids[number::2]), classes=() if complete else own)
            said = dict(labeled_classes=list(own)) if 'labeled' in method else {}
            asking = ASKING if method.startswith(TEACHER) else {}
            sources.append(self.source(f'{"all" if complete else "half"} {number}', content, **said, **asking))
        return sources

    def images_without(self) -> list[Run]:
        """Most images have no labels."""
        labelled = self.labelled()
        others = subset(self.coco, set(self.ids[self.number_labelled() :]))
        bare = self.source(f'{UNLABELLED} beside {self.args.labelled}', dict(others, annotations=[]), **ASKING)
        sources = {
            'labelled only': [labelled],
            TEACHER: [labelled, bare],
            COMPLETE: [self.source('all', subset(self.coco, set(self.ids)))],
        }
        return [self.run(method, str(self.args.labelled), *sources[method]) for method in self.args.methods]

    def number_labelled(self) -> int:
        """How many of the images have labels, where most have none."""
        return max(round(self.args.labelled / 100 * len(self.ids)), 1)

    def labelled(self) -> Source:
        """Those images."""
        return self.source(f'labelled {self.args.labelled}', subset(self.coco, set(self.ids[: self.number_labelled()])))


def runs_of_seed(args: argparse.Namespace, seed: int, data: tuple[dict, str, tuple[str, str]]) -> list[Run]:
    """All runs of a seed; their methods are ``method/setting``, or ``complete``."""
    plan = Plan(args, seed, data)
    return dict(boxes=plan.boxes, classes=plan.classes_of_sources, images=plan.images_without)[args.what]()


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """One row for each method and setting: AP and AP50, the gap that it recovers, and AP by that of `complete`."""
    aps = {method: mean(one['AP'] for one in figures) for method, figures in results.items()}
    first = {method.partition('/')[2]: ap for method, ap in reversed(aps.items()) if method.split('/')[0] != COMPLETE}
    rows = [['method', 'setting', 'AP', 'AP50', 'of the gap', 'of complete']]
    for method, figures in results.items():
        name, _, setting = method.partition('/')
        below, whole = first.get(setting, 0.0), aps.get(f'{COMPLETE}/{setting}', aps.get(COMPLETE))
        gap = (
            '-'
            if whole is None or name == COMPLETE or whole == below
            else f'{(aps[method] - below) / (whole - below):.0%}'
        )
        share = '-' if not whole else f'{aps[method] / whole:.0%}'
        figures_of = (spread([one[key] for one in figures]) for key in ('AP', 'AP50'))
        rows.append([name, setting or '-', *figures_of, gap, share])
    return markdown(rows)


def plot(results: dict[str, list[dict[str, float]]], path: Path) -> None:
    """A bar with its deviation, and a point for each seed, for each method; a panel for each setting."""
    names = [method.partition('/') for method in results]
    settings = list(dict.fromkeys(setting for _, _, setting in names if setting))
    colours = {name: f'C{number}' for number, name in enumerate(dict.fromkeys(name for name, _, _ in names))}
    with panels(len(settings), path, width=max(5.0, 4.0 * len(settings))) as axes:
        for setting, panel in zip(settings, axes):
            shown = sorted((part for part in names if part[2] in ('', setting)), key=lambda part: part[0] == COMPLETE)
            bars = {name: results[name + mark + own] for name, mark, own in shown}
            for place, (name, runs) in enumerate(bars.items()):
                values = [one['AP'] for one in runs]
                look = dict(color=colours[name], capsize=3, alpha=0.7)
                panel.bar(place, mean(values), 0.6, yerr=deviation(values), **look)
                panel.scatter([place] * len(values), values, s=10, color='black', zorder=3)
            panel.set_xticks(range(len(bars)), [name.replace(' ', '\n') for name in bars], fontsize='small')
            panel.set_title(setting)
        axes[0].set_ylabel('average precision')


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    checkpoint = None if args.scratch else pretrained(args)
    data = data_of(args)
    if args.first:
        settings = dict(boxes=args.missing, classes=[HALF], images=[str(args.labelled)])[args.what]
        firsts = [Plan(args, seed, data).first(setting) for seed in args.seeds for setting in settings]
        run_all(args, firsts, checkpoint)
    runs = [run for seed in args.seeds for run in runs_of_seed(args, seed, data)]
    results = by_method(runs, run_all(args, runs, checkpoint))
    text = table(results)
    write_table(text, args.out_dir / f'{args.name}.md')
    plot(results, args.out_dir / f'{args.name}.png')
    print(text)


if __name__ == '__main__':
    main()
