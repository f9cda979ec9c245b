"""Draw the images of ``data.train`` as the network is fed with them: after the pipeline, with boxes, masks and
directives.

    python tools/misc/browse_dataset.py CONFIG --output-dir pictures --not-show

Boxes to ignore (``gt_bboxes_ignore``) are dashed and hatched; keypoints are drawn with the lines of their skeleton.
Below each image stand its file and all its training directives. The steps of ``--skip-type`` are left out of the
pipeline; pictures can be drawn after any of them, and ``Normalize`` is undone where it is kept.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mmdet.apis.launch import UserError, config_from_args, reported_errors
from mmdet.core.directives import describe_lines
from mmdet.core.visualization.sample import draw_sample
from mmdet.datasets import PIPELINES, build_dataset
from mmdet.datasets.mixing.sources import image_files, leaves_of
from mmdet.datasets.pipelines.formatting import META_KEYS, Collect
from mmdet.utils.compat_config import compat_loader_args
from mmdet.utils.output_paths import OutputPaths
from mmdet.utils.registry import did_you_mean
from mmdet.utils.running.progress import progress_bar

import mmcv
import numpy as np
from mmcv import DictAction
from mmcv.parallel import DataContainer
from torch import Tensor

MIN_PICTURE_SIDE = 420  # px; smaller images are enlarged so that labels can be read


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--skip-type',
        type=str,
        nargs='+',
        default=['DefaultFormatBundle', 'Normalize', 'Collect'],
        help='steps to leave out of the pipeline',
    )
    parser.add_argument('--output-dir', default=None, type=str, help='write the pictures there')
    parser.add_argument('--not-show', default=False, action='store_true', help='open no windows')
    parser.add_argument('--show-interval', type=float, default=2, help='seconds that each window stays')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value')
    return parser.parse_args(argv)


class KeepMetas:
    """Makes ``img_metas`` as ``Collect`` does, and keeps everything else: later steps may add to them."""

    def __init__(self, meta_keys: Iterable[str] = META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

    def __call__(self, results: dict) -> dict:
        metas = {key: results[key] for key in self.meta_keys if key in results}
        return dict(results, img_metas=DataContainer(metas, cpu_only=True))


def without_steps(pipeline: list[dict], skipped: list[str]) -> list[dict | Callable]:
    """The steps of a pipeline's config that are not of the types ``skipped``; ``Collect`` leaves its metas.

    Raises:
        UserError: there is no such type.
    """
    for name in skipped:
        if PIPELINES.get(name) is None:
            raise UserError(f'--skip-type: there is no step {name!r}{did_you_mean(name, PIPELINES.module_dict)}')
    steps: list[dict | Callable] = []
    for step in pipeline:
        if step['type'] not in skipped:
            steps.append(step)
        elif isinstance(PIPELINES.get(step['type']), type) and issubclass(PIPELINES.get(step['type']), Collect):
            steps.append(KeepMetas(step.get('meta_keys', META_KEYS)))
    return steps


def skip_steps(dataset: Any, skipped: list[str]) -> Any:
    """A data set's config, or a list of them, with the steps left out of every pipeline in it."""
    if isinstance(dataset, (list, tuple)):
        return [skip_steps(part, skipped) for part in dataset]
    changed = dict(dataset)
    if 'pipeline' in changed:
        changed['pipeline'] = without_steps(changed['pipeline'], skipped)
    for key in ('dataset', 'datasets'):
        if key in changed:
            changed[key] = skip_steps(changed[key], skipped)
    return changed


def plain(value: Any) -> Any:
    """What is in a data container, tensors as arrays."""
    value = value.data if isinstance(value, DataContainer) else value
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else value


def to_picture(img: np.ndarray, norm: dict | None) -> np.ndarray:
    """The image (H, W, 3) uint8, blue-green-red, from what a pipeline gives.

    Args:
        img: (H, W, 3), or (3, H, W) after formatting.
        norm: ``img_norm_cfg`` of the image; it is undone where the image is not whole numbers any more.
    """
    if img.shape[0] == 3 and img.shape[-1] != 3:
        img = img.transpose(1, 2, 0)
    if norm is not None and img.dtype != np.uint8 and not np.array_equal(img, np.clip(np.round(img), 0, 255)):
        img = mmcv.imdenormalize(
            np.ascontiguousarray(img, dtype=np.float32),
            np.asarray(norm['mean']),
            np.asarray(norm['std']),
            norm['to_rgb'],
        )
    return np.ascontiguousarray(img.round().clip(0, 255).astype(np.uint8))


def limbs_of(dataset: Any) -> Sequence[tuple[int, int]]:
    """The pairs of keypoints that a data set's skeleton connects; none where no data set in it has a skeleton."""
    skeletons = [leaf.skeleton for leaf in leaves_of(dataset) if hasattr(leaf, 'skeleton')]
    return skeletons[0].limbs if skeletons else ()


def draw(item: dict, dataset: Any) -> tuple[str, str | None, np.ndarray]:
    """Name, file and picture of one item of a data set.

    Raises:
        UserError: the pipeline gives no image.
    """
    item = {key: plain(value) for key, value in item.items()}
    if not isinstance(item.get('img'), np.ndarray):
        raise UserError(f'the pipeline gives no single image to draw; it gives {sorted(item)}')
    metas = item.get('img_metas', item)
    image = to_picture(item['img'], metas.get('img_norm_cfg'))
    name = metas.get('ori_filename') or metas.get('filename') or 'image'
    boxes = np.asarray(item.get('gt_bboxes', np.zeros((0, 4)))).reshape(-1, 4)
    palette = getattr(dataset, 'PALETTE', None)
    picture = draw_sample(
        image,
        boxes,
        item.get('gt_labels', np.zeros(len(boxes), dtype=np.int64)),
        item.get('gt_masks'),
        item.get('gt_bboxes_ignore'),
        [str(name), *describe_lines(metas, getattr(dataset, 'CLASSES', None))],
        getattr(dataset, 'CLASSES', None),
        bbox_color=palette or 'green',
        mask_color=palette,
        scale=max(1, -(-MIN_PICTURE_SIDE // min(image.shape[:2]))),
        keypoints=item.get('gt_keypoints'),
        limbs=limbs_of(dataset),
    )
    return str(name), metas.get('filename'), picture


def item_of(dataset: Any, index: int, skipped: list[str]) -> dict:
    """What the pipeline makes of an image.

    Raises:
        UserError: a step needs what one of those that are left out makes.
    """
    try:
        return dataset[index]
    except KeyError as error:
        raise UserError(f'--skip-type {" ".join(skipped)}: nothing makes {error.args[0]}') from error


def main(argv: list[str] | None = None) -> int:
    """Run the command; gives the number of pictures."""
    args = parse_args(argv)
    if args.not_show and args.output_dir is None:
        raise UserError('nothing to do: give --output-dir, or leave out --not-show')
    dataset = build_dataset(skip_steps(compat_loader_args(config_from_args(args)).data.train, args.skip_type))
    if not len(dataset):
        raise UserError('data.train has no images, or none with an object; filter_empty_gt=False keeps those without')
    bar = progress_bar(len(dataset))
    paths = OutputPaths.of_pictures(args.output_dir, image_files(dataset)) if args.output_dir is not None else None
    for i in range(len(dataset)):
        name, source, picture = draw(item_of(dataset, i, args.skip_type), dataset)
        if paths is not None:
            mmcv.imwrite(picture, str(paths(name, source)))
        if not args.not_show:
            mmcv.imshow(picture, 'browse_dataset', int(1000 * args.show_interval))
        bar.update()
    print(f'{len(dataset)} images drawn' + (f' to {args.output_dir}' if args.output_dir else ''))
    return len(dataset)


if __name__ == '__main__':
    with reported_errors():
        main(sys.argv[1:])
