"""Train Keypoint R-CNN on drawn shapes, from scratch on a CPU, and say how well it finds their corners.

    python benchmarks/keypoints_on_shapes.py --work-dir work_dirs/keypoints_on_shapes

draws a data set, trains ``configs/demo/keypoint_rcnn_r18_fpn_shapes.py`` on it with ``tools/train.py``, tests it with
``tools/test.py``, and prints a table (also written to ``table.md``): average precision by object keypoint similarity
and by boxes, and the minutes that it took. A work dir that holds a part of a run goes on from there.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs' / 'demo' / 'keypoint_rcnn_r18_fpn_shapes.py'
SHOWN = ('keypoints_mAP', 'keypoints_mAP_50', 'keypoints_mAP_75', 'keypoints_AR', 'bbox_mAP', 'bbox_mAP_50')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/keypoints_on_shapes'))
    parser.add_argument('--images', type=int, default=1000, help='images to train on')
    parser.add_argument('--val-images', type=int, default=200, help='images to test on')
    parser.add_argument('--epochs', type=int, default=15)
    parser.add_argument('--threads', type=int, default=2, help='threads of the training')
    parser.add_argument('--seed', type=int, default=0, help='of the data and of the training')
    args = parser.parse_args(argv)
    for name in ('images', 'val_images', 'epochs', 'threads'):
        if getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")}: expected at least 1, got {getattr(args, name)}')
    return args


def run_tool(script: str, *arguments: object, threads: int) -> float:
    """Run a script of ``tools``; the seconds that it took."""
    started = time.monotonic()
    env = {**os.environ, 'OMP_NUM_THREADS': str(threads), 'MPLBACKEND': 'Agg'}
    subprocess.run([sys.executable, str(ROOT / 'tools' / script), *map(str, arguments)], env=env, check=True)
    return time.monotonic() - started


def table(figures: dict[str, float], minutes: float, args: argparse.Namespace) -> str:
    """The figures as a Markdown table of one row."""
    head = ['images', 'epochs', *SHOWN, 'minutes of training']
    row = [str(args.images), str(args.epochs), *(f'{figures[name]:.3f}' for name in SHOWN), f'{minutes:.1f}']
    return '\n'.join(f'| {" | ".join(line)} |' for line in (head, ['---'] * len(head), row))


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    data, run = args.work_dir / f'shapes_{args.images}_{args.seed}', args.work_dir / 'run'
    if not (data / 'annotations/val.json').exists():
        counts = ('--clean', args.images, '--partial', 0, '--val', args.val_images, '--seed', args.seed)
        run_tool('dataset_converters/make_shapes.py', data, *counts, threads=1)
    options = ['--cfg-options', f'runner.max_epochs={args.epochs}']
    for split, name in (('train', 'clean'), ('val', 'val'), ('test', 'val')):
        options += [f'data.{split}.ann_file={data}/annotations/{name}.json', f'data.{split}.img_prefix={data}/{name}/']
    training = ('--work-dir', run, '--seed', args.seed, '--auto-resume', *options)
    seconds = run_tool('train.py', CONFIG, *training, threads=args.threads)
    tested = args.work_dir / 'test'
    testing = ('--work-dir', tested, '--eval', 'bbox', 'keypoints', *options)
    run_tool('test.py', CONFIG, run / 'latest.pth', *testing, threads=args.threads)
    newest = max(tested.glob('eval_*.json'), key=lambda path: path.stat().st_mtime)
    text = table(json.loads(newest.read_text())['metric'], seconds / 60, args)
    (args.work_dir / 'table.md').write_text(text + '\n')
    print(text)


if __name__ == '__main__':
    main()
