"""Train each family of detectors for some hundred steps on drawn shapes, on a CPU, and say what it has learnt.

    python benchmarks/zoo_on_shapes.py --families fcos yolox solo
    python benchmarks/zoo_on_shapes.py --budget 1500

Of each family one config of ``configs/`` is taken, with a fourth of the channels, few proposals and queries, and images
of ``--size`` px in place of COCO's; its losses, targets, heads and post-processing are as they stand. What all families
share: AdamW with a cosine schedule, plain pipelines (flips alone), no averaging of weights. A narrow ResNet-50 that
Faster R-CNN has learnt on other shapes takes the place of the weights of ImageNet where a config has a ResNet-50; other
backbones begin from nothing.

The results, average precisions of boxes and of masks on images that were not trained on and the seconds that the
training got from the processor, are kept in ``benchmarks/zoo_on_shapes.json`` (``--results``) family by family; one
that is there is not repeated with the same settings, so that a run goes on where another was ended.
``tools/misc/model_table.py`` writes them into ``docs/model_zoo.md``.

    python benchmarks/zoo_on_shapes.py --few 16 --families ssd --results few.json

tells a family that needs more steps from one that cannot learn, or is tested otherwise than it was trained: 16 images
are learnt by heart, and tested on.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import mmdet  # noqa: F401 - hides an announcement of mmcv

from mmcv import Config

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).parent))
from zoo_on_shapes_families import FAMILIES, LEFT_OUT, OPTIONS, TAUGHT_BY, TIMES  # noqa: E402 - beside this file
from zoo_on_shapes_models import CLASSES, pipelines, small_model, widen_draws  # noqa: E402

RESULTS = ROOT / 'benchmarks' / 'zoo_on_shapes.json'
OTHER_SHAPES = ('cross', 'ring', 'star')  # what the backbone has learnt
TEACHER = 'faster_rcnn'  # the family that has taught it
SETTINGS = ('iterations', 'images', 'size', 'batch', 'body_iterations', 'seed')  # what figures depend on


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--families', nargs='+', choices=sorted(FAMILIES), metavar='NAME', help='default: all')
    parser.add_argument('--iterations', type=int, default=300, help='steps of a training; slow families get more')
    parser.add_argument('--images', type=int, default=600, help='drawn to train on')
    parser.add_argument('--val-images', type=int, default=100, help='drawn to test on')
    parser.add_argument('--size', type=int, default=96, help='side of the images, px')
    parser.add_argument('--batch', type=int, default=8, help='images of a step')
    parser.add_argument(
        '--body-iterations', type=int, default=600, help='steps of the backbone on other shapes; 0: none'
    )
    parser.add_argument('--budget', type=float, help='begin no family after so many seconds of the processor')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/zoo_on_shapes'))
    parser.add_argument('--few', type=int, metavar='N', help='train on N of the images, and test on the same')
    parser.add_argument('--results', type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    if args.few is not None and args.results == RESULTS:
        parser.error('--few: its figures are no rows of the table; give --results FILE')
    for name in ('iterations', 'images', 'val_images', 'size', 'batch'):
        if getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")}: expected at least 1, got {getattr(args, name)}')
    return args


def draw(folder: Path, classes: tuple[str, ...], args: argparse.Namespace, seed: int) -> Path:
    """A data set of shapes with maps of their classes, drawn where it is not there."""
    folder = folder.resolve()
    if not (folder / 'annotations/val.json').exists():
        counts = ('--clean', args.images, '--partial', 0, '--val', args.val_images, '--max-objects', 3)
        script = ROOT / 'tools/dataset_converters/make_shapes.py'
        options = (*counts, '--size', args.size, '--seed', seed, '--classes', *classes)
        env = {**os.environ, 'PYTHONPATH': str(ROOT)}
        subprocess.run([sys.executable, str(script), str(folder), *map(str, options)], check=True, env=env)
        write_class_maps(folder)
    return folder


def write_class_maps(folder: Path) -> None:
    """``seg/``: of each training image the class of every pixel, the number of classes where nothing is."""
    import cv2
    import numpy as np
    from pycocotools.coco import COCO

    coco = COCO(str(folder / 'annotations/clean.json'))
    (folder / 'seg').mkdir(exist_ok=True)
    for image in coco.imgs.values():
        classes = np.full((image['height'], image['width']), len(coco.cats), np.uint8)
        for row in coco.imgToAnns[image['id']]:
            classes[coco.annToMask(row) > 0] = row['category_id'] - 1
        cv2.imwrite(str(folder / 'seg' / image['file_name']), classes)


def small_config(
    name: str, args: argparse.Namespace, data: Path, classes: tuple[str, ...], body: Path | None
) -> Config:
    """The config of a family for one training on the shapes in ``data``."""
    cfg = Config.fromfile(str(ROOT / 'configs' / FAMILIES[name]))
    train, test = pipelines(cfg, args.size)
    parts = {}
    for part, drawn, pipeline in (('train', 'clean', train), ('val', 'val', test), ('test', 'val', test)):
        places = dict(
            ann_file=f'{data}/annotations/{drawn}.json', img_prefix=f'{data}/{drawn}/', seg_prefix=f'{data}/seg/'
        )
        parts[part] = dict(type='CocoDataset', classes=classes, pipeline=pipeline, **places)
    made = Config(
        dict(
            model=small_model(cfg.model.to_dict(), body),
            data=dict(samples_per_gpu=args.batch, workers_per_gpu=0, **parts),
            optimizer=dict(
                type='AdamW',
                lr=0.001,
                weight_decay=0.05,
                paramwise_cfg=dict(norm_decay_mult=0.0, bypass_duplicate=True),
            ),
            optimizer_config=dict(grad_clip=dict(max_norm=10, norm_type=2)),
            lr_config=dict(
                policy='CosineAnnealing', min_lr=0, by_epoch=False, warmup='linear', warmup_iters=50, warmup_ratio=0.01
            ),
            runner=dict(type='IterBasedRunner', max_iters=args.iterations * TIMES.get(name, 1)),
            checkpoint_config=None,
            log_config=dict(interval=50, hooks=[dict(type='TextLoggerHook', by_epoch=False)]),
            workflow=[('train', 1)],
            seed=args.seed,
            gpu_ids=[0],
            device='cpu',
        )
    )
    options = OPTIONS.get(name, {})
    made.merge_from_dict(options(args.size) if callable(options) else options)
    return made


def train_and_test(name: str, args: argparse.Namespace, cfg: Config, save: Path | None = None) -> dict[str, Any]:
    """Train a config, and what came of it; ``save`` gets the weights."""
    from mmdet.apis import set_random_seed, single_gpu_test, train_detector
    from mmdet.datasets import build_dataloader, build_dataset
    from mmdet.models import build_detector
    from mmdet.utils import build_dp

    import torch

    cfg.work_dir = str((args.work_dir / name).resolve())
    started = time.process_time()
    set_random_seed(args.seed)
    model = build_detector(cfg.model)
    model.init_weights()
    if getattr(model, 'bbox_head', None) is not None:  # SOLO has none
        widen_draws(model.bbox_head)
    train_detector(model, build_dataset(cfg.data.train), cfg, timestamp='train')
    seconds = time.process_time() - started
    if save is not None:
        torch.save(dict(state_dict=model.state_dict(), meta={}), save)
    dataset = build_dataset(cfg.data.test, dict(test_mode=True))
    loader = build_dataloader(dataset, 1, 0, dist=False, shuffle=False)
    found = single_gpu_test(build_dp(model, 'cpu'), loader)
    return {**figures_of(dataset, found, name, cfg), 'seconds': round(seconds, 1)}


def figures_of(dataset: Any, found: list, name: str, cfg: Config) -> dict[str, float]:
    """Average precisions of boxes and masks, or the recall of proposals."""
    if name == 'rpn':
        recalls = dataset.evaluate(found, metric='proposal_fast', proposal_nums=(30,), logger='silent')
        return dict(AR=round(float(next(iter(recalls.values()))), 3))
    first = found[0]
    kinds = ['bbox'] + ['segm'] * isinstance(first, (tuple, dict))
    if isinstance(first, dict):
        found = [image['ins_results'] for image in found]
    if name in ('solo', 'solov2'):  # their boxes are made for the looks alone
        kinds = ['segm']
    figures = dataset.evaluate(found, metric=kinds, logger='silent')
    names = dict(AP='bbox_mAP', AP50='bbox_mAP_50', mask_AP='segm_mAP', mask_AP50='segm_mAP_50')
    return {short: round(float(figures[long]), 3) for short, long in names.items() if long in figures}


def body_of(args: argparse.Namespace) -> Path | None:
    """The checkpoint with the backbone that families begin with; made where it is not there."""
    if not args.body_iterations:
        return None
    path = (args.work_dir / f'body_{args.body_iterations}_{args.images}_{args.size}_{args.batch}.pth').resolve()
    if not path.exists():
        data = draw(args.work_dir / f'other_{args.images}_{args.size}', OTHER_SHAPES, args, seed=5)
        longer = argparse.Namespace(**{**vars(args), 'iterations': args.body_iterations, 'seed': 0})
        cfg = small_config(TEACHER, longer, data, OTHER_SHAPES, None)
        print(f'backbone: {train_and_test("body", longer, cfg, path)}', flush=True)
    return path


def on_few(cfg: Config, count: int, folder: Path) -> Config:
    """The config of a training on the first ``count`` images, and of a test on the same."""
    place = cfg.data.train
    coco = json.loads(Path(place.ann_file).read_text())
    images = coco['images'][:count]
    chosen = {image['id'] for image in images}
    rows = [row for row in coco['annotations'] if row['image_id'] in chosen]
    file = (folder / f'few_{count}.json').resolve()
    file.write_text(json.dumps({**coco, 'images': images, 'annotations': rows}))
    for part in ('train', 'val', 'test'):
        cfg.data[part].update(ann_file=str(file), img_prefix=place.img_prefix)
    return cfg


def with_teacher(cfg: Config, name: str, args: argparse.Namespace, data: Path, body: Path | None) -> Config:
    """The config of a family; the teacher of one that has one is another family, trained where it is not there."""
    if name not in TAUGHT_BY:
        return cfg
    teacher = small_config(TAUGHT_BY[name], args, data, CLASSES, body)
    path = (args.work_dir / f'{TAUGHT_BY[name]}_{"_".join(map(str, settings_of(args, name).values()))}.pth').resolve()
    if not path.exists():
        print(f'teacher of {name}: {train_and_test(TAUGHT_BY[name], args, teacher, path)}', flush=True)
    cfg.model.teacher_ckpt = str(path)
    if 'teacher_config' in cfg.model:
        cfg.model.teacher_config = dict(model=teacher.model)
    return cfg


def settings_of(args: argparse.Namespace, family: str) -> dict[str, int]:
    """What the figures of a family depend on."""
    settings = {name: getattr(args, name) for name in SETTINGS}
    return {**settings, 'iterations': args.iterations * TIMES.get(family, 1), 'images': args.few or args.images}


def is_done(results: dict[str, Any], name: str, args: argparse.Namespace) -> bool:
    """Whether a family has been trained with these settings, and its config is the same."""
    found = results.get(name, {})
    return found.get('config') == FAMILIES[name] and all(found.get(k) == v for k, v in settings_of(args, name).items())


def run_family(name: str, args: argparse.Namespace, data: Path, body: Path | None) -> dict[str, Any]:
    """The entry of a family in the results; one that cannot be trained has an error in place of figures."""
    entry = dict(config=FAMILIES[name], **settings_of(args, name))
    try:
        cfg = with_teacher(small_config(name, args, data, CLASSES, body), name, args, data, body)
        if args.few is not None:
            cfg = on_few(cfg, args.few, args.work_dir)
        return {**entry, **train_and_test(name, args, cfg)}
    except Exception as error:  # whatever it is, the other families go on
        traceback.print_exc()
        return {**entry, 'iterations': None, 'error': f'{type(error).__name__}: {error}'}


def with_all_families(results: dict[str, Any]) -> dict[str, Any]:
    """The results, and an entry for each folder of ``configs/`` that has none: its config, or why it is left out."""
    waiting = {name: dict(config=config) for name, config in FAMILIES.items()}
    return {**waiting, **{name: dict(left_out=reason) for name, reason in LEFT_OUT.items()}, **results}


def write_results(results: dict[str, Any], path: Path) -> None:
    """Write the results, by name."""
    from mmdet.utils import atomic_write

    with atomic_write(path) as file:
        file.write(json.dumps(with_all_families(results), indent=1, sort_keys=True) + '\n')


def table(results: dict[str, Any]) -> str:
    """The results as a Markdown table, one family a line."""
    columns = ('iterations', 'AP', 'AP50', 'mask_AP', 'AR', 'seconds')
    lines = [f'| family | config | {" | ".join(columns)} |', '| --- ' * (len(columns) + 2) + '|']
    for name, entry in sorted(item for item in results.items() if item[1].get('seconds')):
        cells = [str(entry[key]) if entry.get(key) is not None else '-' for key in columns]
        lines.append(f'| {name} | {Path(entry["config"]).stem} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    import torch

    args = parse_args(argv)
    torch.set_num_threads(1)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    results = json.loads(args.results.read_text()) if args.results.exists() else {}
    waiting = [name for name in args.families or FAMILIES if not is_done(results, name, args)]
    body = body_of(args) if waiting else None
    data = draw(args.work_dir / f'shapes_{args.images}_{args.size}', CLASSES, args, seed=args.seed)
    for name in waiting:
        if args.budget is not None and time.process_time() > args.budget:
            print(f'the budget is used up; {name} and what follows it wait for another run')
            break
        results[name] = run_family(name, args, data, body)
        print(f'{name}: {results[name]}', flush=True)
        write_results(results, args.results)
    write_results(results, args.results)
    print(table(results))


if __name__ == '__main__':
    main()
