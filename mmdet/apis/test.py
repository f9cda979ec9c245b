"""Running a detector over a data set, in one process or several."""

import contextlib
import itertools
import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmcv.runner import get_dist_info
from torch import nn
from torch.utils.data import DataLoader

from mmdet.core.mask.utils import encode_mask_results
from mmdet.core.visualization.reading import read_image
from mmdet.datasets.mixing.sources import image_files, leaves_of
from mmdet.utils.checkpoints.checkpoint import unwrap_model
from mmdet.utils.output_paths import OutputPaths
from mmdet.utils.running.parallel import unpack
from mmdet.utils.running.progress import progress_bar


@torch.no_grad()
def single_gpu_test(
    model: nn.Module,
    data_loader: DataLoader[Any],
    show: bool = False,
    out_dir: str | None = None,
    show_score_thr: float = 0.3,
    results: list[Any] | None = None,
) -> list[Any]:
    """Detections of every image of a data set.

    Args:
        model: wrapped detector.
        data_loader: of a data set in test mode.
        show: open a window for each image.
        out_dir: write a picture for each image there.
        show_score_thr: detections below are not drawn.
        results: list that is filled, for a caller who wants to have them where an error ends this.

    Returns:
        One result per image, in the order of the data set; masks are run-length encoded.

    Raises:
        OutputPathError: a picture in ``out_dir`` would replace an image.
    """
    model.eval()
    results = [] if results is None else results
    dataset: Any = data_loader.dataset
    paths = OutputPaths.of_pictures(out_dir, image_files(dataset)) if out_dir else None
    bar = progress_bar(len(dataset))
    for data in data_loader:
        batch = model(return_loss=False, rescale=True, **data)
        if show or out_dir:
            _draw(unwrap_model(model), dataset, data, batch, show, paths, show_score_thr)
        results.extend(encode_masks(result) for result in batch)
        bar.update(len(batch))
    return results


@torch.no_grad()
def multi_gpu_test(
    model: nn.Module,
    data_loader: DataLoader[Any],
    tmpdir: str | None = None,
    gpu_collect: bool = False,
    results: list[Any] | None = None,
) -> list[Any] | None:
    """Detections of every image of a data set, worked out by all processes together.

    Args:
        model: wrapped detector.
        data_loader: gives this process its part: images rank, rank + processes, ...
        tmpdir: folder that all processes can reach, through which results are collected; None makes one.
        gpu_collect: send the results to one another instead.
        results: list that is filled with those of this process, for a caller who wants to have them where an error
            ends this.

    Returns:
        On rank 0 one result per image, in the order of the data set; None elsewhere.
    """
    model.eval()
    results = [] if results is None else results
    rank, world_size = get_dist_info()
    dataset: Any = data_loader.dataset
    size = len(dataset)
    bar = progress_bar(size) if rank == 0 else None
    for data in data_loader:
        batch = model(return_loss=False, rescale=True, **data)
        results.extend(encode_masks(result) for result in batch)
        if bar is not None:
            # samplers repeat images so that all parts are equally long
            bar.update(max(1, min(len(batch) * world_size, size - bar.completed)))
    if gpu_collect:
        return collect_results_gpu(results, size)
    return collect_results_cpu(results, size, tmpdir)


def encode_masks(result: Any) -> Any:
    """A result whose instance masks, where it has any, are run-length encoded."""
    if isinstance(result, tuple):
        boxes, masks, *keypoints = result
        return boxes, None if masks is None else encode_mask_results(masks), *keypoints
    if isinstance(result, dict) and 'ins_results' in result:
        boxes, masks = result['ins_results']
        return dict(result, ins_results=(boxes, encode_mask_results(masks)))
    return result


def collect_results_cpu(result_part: list[Any], size: int, tmpdir: str | None = None) -> list[Any] | None:
    """Results of all processes through files.

    Args:
        result_part: of this process.
        size: number of images; what samplers repeated beyond it is dropped.
        tmpdir: folder on storage that all processes share, default ``.dist_test``. The files lie in a new folder
            below it; that is removed, and ``tmpdir`` too where it was made for this and is empty.

    Returns:
        All results in the order of the data set on rank 0, None elsewhere.
    """
    rank, world_size = get_dist_info()
    parent = Path(tmpdir if tmpdir is not None else '.dist_test')
    folder, made_parent = _shared_folder(parent, rank)
    with open(folder / f'part_{rank}.pkl', 'wb') as file:
        pickle.dump(result_part, file)
    _barrier(world_size)
    if rank != 0:
        return None
    parts = [pickle.loads((folder / f'part_{i}.pkl').read_bytes()) for i in range(world_size)]
    shutil.rmtree(folder)
    if made_parent:
        with contextlib.suppress(OSError):  # another run may use it meanwhile
            parent.rmdir()
    return interleave(parts, size)


def collect_results_gpu(result_part: list[Any], size: int) -> list[Any] | None:
    """Results of all processes through messages; arguments and result as :func:`collect_results_cpu`."""
    rank, world_size = get_dist_info()
    if world_size == 1:
        return interleave([result_part], size)
    parts: list[Any] = [None] * world_size
    dist.all_gather_object(parts, result_part)
    return interleave(parts, size) if rank == 0 else None


def interleave(parts: list[list[Any]], size: int) -> list[Any]:
    """Parts of images rank, rank + processes, ... put in one order, without what was repeated beyond ``size``."""
    missing = object()
    rows = itertools.zip_longest(*parts, fillvalue=missing)
    return [result for row in rows for result in row if result is not missing][:size]


def _shared_folder(parent: Path, rank: int) -> tuple[Path, bool]:
    """A new folder below ``parent``, known to all processes, and whether ``parent`` was made by this call."""
    made: list[Any] = [None, False]
    if rank == 0:
        made[1] = not parent.exists()
        parent.mkdir(parents=True, exist_ok=True)
        made[0] = tempfile.mkdtemp(dir=parent)
    if dist.is_available() and dist.is_initialized():
        dist.broadcast_object_list(made, 0)
    return Path(made[0]), made[1]


def _barrier(world_size: int) -> None:
    if world_size > 1:
        dist.barrier()


def _draw(
    model: Any,
    dataset: Any,
    data: dict[str, Any],
    results: list[Any],
    show: bool,
    paths: OutputPaths | None,
    score_thr: float,
) -> None:
    """Pictures of a batch, drawn on the images as they are on the disk."""
    metas = unpack(data['img_metas'])
    metas = metas[0] if isinstance(metas[0], (list, tuple)) else metas
    palette = getattr(dataset, 'PALETTE', None)
    # joined data sets read their images alike, else batches could not be made of them
    pipeline = getattr(next(leaves_of(dataset)), 'pipeline', None)
    for meta, result in zip(metas, results):
        out_file = str(paths(meta['ori_filename'], meta['filename'])) if paths else None
        model.show_result(
            read_image(meta['filename'], pipeline),
            result,
            bbox_color=palette,
            text_color=palette,
            mask_color=palette,
            show=show,
            out_file=out_file,
            score_thr=score_thr,
        )
