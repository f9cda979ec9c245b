"""Detect objects in an image or in all images of a folder.

``python demo/image_demo.py IMAGE_OR_FOLDER CONFIG CHECKPOINT --out-dir OUT`` writes a picture with boxes for each
image and ``OUT/detections.json`` in the format of COCO results.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmdet.apis import async_inference_detector, inference_detector, init_detector, show_result_pyplot
from mmdet.apis.launch import UserError, reported_errors
from mmdet.utils.checkpoints.checkpoint import set_checkpoint_trust
from mmdet.utils.output_paths import OutputPaths
from mmdet.utils.running.progress import progress_bar

import mmcv
import numpy as np

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description='Detect objects in images')
    parser.add_argument('img', help='an image, or a folder of them (its sub-folders too)')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out-dir', help='write pictures and detections.json there')
    parser.add_argument('--out-file', help='write the picture of a single image to this file')
    parser.add_argument('--device', default='cuda:0', help='device; the CPU takes the place of a GPU that is missing')
    parser.add_argument('--palette', default='coco', choices=['coco', 'voc', 'citys', 'random'], help='colours')
    parser.add_argument('--score-thr', type=float, default=0.3, help='leave out detections with lower scores')
    parser.add_argument('--batch-size', type=int, default=1, help='images that go through the model together')
    parser.add_argument('--async-test', action='store_true', help='detect in a thread of its own')
    parser.add_argument(
        '--allow-partial', action='store_true', help='use a checkpoint that lacks weights or has other classes'
    )
    parser.add_argument('--trust-checkpoint', action='store_true', help='allow a file that runs code while it is read')
    return parser.parse_args(argv)


def find_images(source: str, out_dir: Path | None = None) -> list[Path]:
    """The image, or the images below the folder, but for those below ``out_dir``, in the order of their names.

    Raises:
        UserError: there is none.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    found = (file for file in path.rglob('*') if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
    # pictures of an earlier run are no images to look at
    images = sorted(file for file in found if out_dir is None or not file.absolute().is_relative_to(out_dir.absolute()))
    if not images:
        raise UserError(f'{source} is neither an image nor a folder with images')
    return images


def coco_rows(name: str, result: Any, classes: list[str], score_thr: float) -> Iterator[dict[str, Any]]:
    """One dict per detection of an image: COCO's keys, and the names of file and class.

    Args:
        name: file name; it is the ``image_id`` too, as an image outside a data set has no number.
        result: per class an array (n, 5) of x1, y1, x2, y2 in pixels and score; with masks a tuple of both.
        classes: names of the classes; categories are numbered from 1.
        score_thr: lowest score.
    """
    boxes = result[0] if isinstance(result, tuple) else result
    # a proposal network gives one array without classes
    boxes = [boxes] if isinstance(boxes, np.ndarray) else boxes
    for number, detections in enumerate(boxes):
        for x1, y1, x2, y2, score in detections[detections[:, 4] >= score_thr].tolist():
            yield dict(
                image_id=name,
                file_name=name,
                category_id=number + 1,
                category_name=classes[number] if number < len(classes) else str(number + 1),
                bbox=[x1, y1, x2 - x1, y2 - y1],
                score=score,
            )


def detect(args: argparse.Namespace, model: Any, images: list[Path]) -> list[Any]:
    """Results of one batch."""
    files = [str(image) for image in images]
    if args.async_test:
        return asyncio.run(async_inference_detector(model, files))
    return inference_detector(model, files)


def output_of(args: argparse.Namespace, paths: OutputPaths | None, image: Path) -> str | None:
    """File for the picture of an image; None: a window.

    Raises:
        OutputPathError: it would replace the image.
    """
    if not args.out_file:
        return str(paths(image, image)) if paths else None
    return str(OutputPaths(Path(args.out_file).parent)(Path(args.out_file).name, image))


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    out_dir = Path(args.out_dir) if args.out_dir else None
    images = find_images(args.img, None if out_dir and out_dir.absolute() == Path(args.img).absolute() else out_dir)
    if args.out_file and len(images) > 1:
        raise UserError(f'--out-file takes one image, {args.img} has {len(images)}; use --out-dir')
    for name in (args.config, args.checkpoint):
        if '://' not in name and not Path(name).is_file():
            raise UserError(f'there is no file {name}')
    set_checkpoint_trust(args.trust_checkpoint)
    model = init_detector(args.config, args.checkpoint, device=args.device, allow_partial=args.allow_partial)
    root = Path(args.img) if Path(args.img).is_dir() else Path(args.img).parent
    paths, rows = OutputPaths(args.out_dir, root) if args.out_dir else None, []
    bar = progress_bar(len(images))
    for start in range(0, len(images), args.batch_size):
        batch = images[start : start + args.batch_size]
        for image, result in zip(batch, detect(args, model, batch)):
            name = image.relative_to(root).as_posix()
            rows.extend(coco_rows(name, result, list(model.CLASSES), args.score_thr))
            out_file = output_of(args, paths, image)
            show_result_pyplot(
                model, str(image), result, score_thr=args.score_thr, palette=args.palette, out_file=out_file
            )
        bar.update(len(batch))
    if args.out_dir:
        mmcv.mkdir_or_exist(args.out_dir)
        mmcv.dump(rows, str(Path(args.out_dir, 'detections.json')))
    print(f'\n{len(rows)} detections with a score of at least {args.score_thr} in {len(images)} images')


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
