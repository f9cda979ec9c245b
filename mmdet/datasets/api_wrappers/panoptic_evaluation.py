"""Panoptic quality of pictures on the disk. The package ``panopticapi`` is not needed."""

import logging
import os
import os.path as osp
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mmcv
import numpy as np

from mmdet.core.evaluation.panoptic_quality import PQStat, make_segments
from mmdet.datasets.pipelines.loading import segment_ids

LOG_EVERY = 100  # images

_LOGGER = logging.getLogger('mmdet')
Pairs = Sequence[tuple[dict, dict]]  # of the ground truth and of the prediction: entries of COCO panoptic files


def pq_compute_single_core(
    proc_id: int,
    annotation_set: Pairs,
    gt_folder: str,
    pred_folder: str,
    categories: Mapping[int, Mapping[str, Any]],
    file_client: mmcv.FileClient | None = None,
    print_log: bool = False,
) -> PQStat:
    """Panoptic quality of some images.

    Args:
        proc_id: number of the worker, for the log.
        annotation_set: pairs of entries of the ground truth and of the prediction, with ``image_id``, ``file_name``
            and ``segments_info``.
        gt_folder, pred_folder: folders of the pictures.
        categories: category id -> entry of the annotation file.
        file_client: what reads the pictures of the ground truth; None: the disk.
        print_log: log the progress.

    Raises:
        FileNotFoundError: a picture is not there.
        ValueError: a picture and its entry do not fit, or a category is unknown; the image is named.
    """
    client = mmcv.FileClient(backend='disk') if file_client is None else file_client
    stat = PQStat()
    for number, (gt, pred) in enumerate(annotation_set):
        if print_log and number % LOG_EVERY == 0:
            _LOGGER.info('PQ: worker %d, image %d of %d', proc_id, number, len(annotation_set))
        gt_ids = _read_ids(client, osp.join(gt_folder, gt['file_name']))
        pred_ids = _read_ids(mmcv.FileClient(backend='disk'), osp.join(pred_folder, pred['file_name']))
        try:
            unknown = {info['category_id'] for info in pred['segments_info']} - set(categories)
            if unknown:
                raise ValueError(f'the prediction has unknown categories: {sorted(unknown)}')
            stat.add_image(gt_ids, pred_ids, make_segments(gt['segments_info']), make_segments(pred['segments_info']))
        except ValueError as err:
            raise ValueError(f'image {gt["image_id"]} ({gt["file_name"]}): {err}') from err
    return stat


def _read_ids(client: mmcv.FileClient, path: str) -> np.ndarray:
    """Ids (h, w) of a panoptic picture."""
    picture = mmcv.imfrombytes(client.get(path), flag='color', channel_order='rgb')
    if picture is None:
        raise ValueError(f'cannot decode the panoptic picture {path}')
    return segment_ids(picture)


def pq_compute_multi_core(
    matched_annotations_list: Pairs,
    gt_folder: str,
    pred_folder: str,
    categories: Mapping[int, Mapping[str, Any]],
    file_client: mmcv.FileClient | None = None,
    nproc: int = 32,
) -> PQStat:
    """As :func:`pq_compute_single_core`, by ``nproc`` workers, but no more than there are processors.

    They are threads: decoding and sorting, where the time goes, run beside one another, and nothing must be forked
    beside a GPU.
    """
    workers = max(1, min(nproc, os.cpu_count() or 1, len(matched_annotations_list)))
    parts = [matched_annotations_list[i::workers] for i in range(workers)]
    total = PQStat()
    with ThreadPoolExecutor(workers) as pool:
        futures = [
            pool.submit(pq_compute_single_core, i, part, gt_folder, pred_folder, categories, file_client)
            for i, part in enumerate(parts)
        ]
        for future in futures:
            total += future.result()
    return total
