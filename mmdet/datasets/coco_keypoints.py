"""Data sets in COCO's format whose objects have keypoints, and COCO's metric of keypoints."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.utils import print_log

from mmdet.core.keypoint import get_skeleton
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.metrics import coco_keypoint_metrics as metrics_of_keypoints
from mmdet.datasets.metrics.coco_results import keypoints_to_json, write_result_files
from mmdet.datasets.registry import DATASETS
from mmdet.utils.errors import MissingResultsError


@DATASETS.register_module()
class CocoKeypointDataset(CocoDataset):
    """``CocoDataset`` with keypoints, for ``LoadAnnotations(with_keypoints=True)``.

    Objects without annotated keypoints have boxes only; crowds are ``bboxes_ignore``, as ever. ``classes`` selects the
    categories (``('person',)``); images without any of them are left out in training (``filter_empty_gt``).

    Args:
        skeleton: the keypoints, see :func:`mmdet.core.keypoint.get_skeleton`; its ``sigmas`` are those of the metric.
        keypoint_offset: px added to the file's coordinates. 0.5 where these are numbers of pixels, as in COCO; 0 where
            pixel 0 covers 0 to 1. It is taken off again from results that are written.
        min_keypoints: in training, images with fewer labelled keypoints (crowds do not count) are left out, too.
        kwargs: as :class:`CocoDataset`.

    Raises:
        ValueError: annotations with another number of keypoints than the skeleton.
    """

    CLASSES = ('person',)

    def __init__(
        self,
        skeleton: str | dict = 'coco_person',
        keypoint_offset: float = 0.5,
        min_keypoints: int = 0,
        **kwargs: Any,
    ) -> None:
        # first: the parent's constructor reads annotations
        self.skeleton = get_skeleton(skeleton)
        self.keypoint_offset = keypoint_offset
        self.min_keypoints = min_keypoints
        super().__init__(**kwargs)

    def load_annotations(self, ann_file: str) -> list[dict]:
        """Read the annotation file, and check its keypoints."""
        infos = super().load_annotations(ann_file)
        numbers = 3 * len(self.skeleton.names)
        for ann in self.coco.dataset.get('annotations', ()):
            if ann['category_id'] in self.cat2label and len(ann.get('keypoints') or ()) not in (0, numbers):
                raise ValueError(
                    f'{self.ann_file}: annotation {ann["id"]} has {len(ann["keypoints"])} numbers in "keypoints"; the '
                    f'skeleton has {len(self.skeleton.names)} points, which makes {numbers}'
                )
        return infos

    def _filter_imgs(self, min_size: int = 32) -> list[int]:
        """As the parent's, and at least ``min_keypoints`` labelled keypoints; the reasons are counted."""
        all_ids = list(self.img_ids)
        kept = super()._filter_imgs(min_size)
        enough = [i for i in kept if self._num_keypoints(all_ids[i]) >= self.min_keypoints]
        self._count_filtered(f'with less than {self.min_keypoints} keypoints', len(kept) - len(enough))
        self.img_ids = [all_ids[i] for i in enough]
        return enough

    def _num_keypoints(self, img_id: int) -> int:
        """Labelled keypoints of an image's objects."""
        anns = self.coco.img_ann_map.get(img_id, [])
        return sum(
            sum(flag > 0 for flag in (ann.get('keypoints') or ())[2::3])
            for ann in anns
            if ann['category_id'] in self.cat2label and not ann.get('iscrowd', False)
        )

    def _extra_fields(self, img_info: dict, objects: Sequence[dict]) -> dict:
        """``keypoints`` (n, K, 3) float32, one set for each box, and ``keypoint_flip_indices`` (K,)."""
        count = len(self.skeleton.names)
        nothing = [0] * (3 * count)
        rows = [ann.get('keypoints') or nothing for ann in objects]
        keypoints = np.asarray(rows, dtype=np.float32).reshape(-1, count, 3)
        keypoints[..., :2] += self.keypoint_offset
        return dict(keypoints=keypoints, keypoint_flip_indices=np.asarray(self.skeleton.flip_indices))

    def results2json(self, results: Sequence[Any], outfile_prefix: str) -> dict[str, str]:
        """As the parent's, and ``<prefix>.keypoints.json`` for results with keypoints.

        Args:
            results: for each image boxes, masks or None, and keypoints, each by class; or what the parent takes.
            outfile_prefix: path and beginning of the files' names.
        """
        files = super().results2json(results, outfile_prefix)
        if not len(results) or not (isinstance(results[0], tuple) and len(results[0]) == 3):
            return files
        entries = keypoints_to_json(self.img_ids, results, self._label2cat(), self.keypoint_offset)
        files.update(write_result_files(outfile_prefix, keypoints=entries))
        return files

    def evaluate(
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = 'keypoints',
        logger=None,
        jsonfile_prefix: str | None = None,
        keypoint_sigmas: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> dict[str, float | str]:
        """Evaluate results with COCO's metrics.

        Args:
            results: one for each image.
            metric: one or several of ``'keypoints'`` (object keypoint similarity) and those of :class:`CocoDataset`.
            logger: a logger, None (print) or ``'silent'``.
            jsonfile_prefix: where the results are written to; None: nowhere that stays.
            keypoint_sigmas: (K,), in the place of the skeleton's.
            kwargs: for the other metrics, as :meth:`CocoDataset.evaluate`.

        Returns:
            What the parent gives, and ``keypoints_mAP``, ``keypoints_mAP_50``, ... ``keypoints_AR_l``; -1 where
            there is nothing to find.

        Raises:
            KeyError: an unknown metric, or results without keypoints.
            ValueError: there are no sigmas, or not K.
        """
        metrics = [metric] if isinstance(metric, str) else list(metric)
        others = [name for name in metrics if name != 'keypoints']
        out: dict[str, float | str] = OrderedDict()
        if others or not metrics:
            known = (*metrics_of_keypoints.BOX_METRICS, 'keypoints')
            metrics_of_keypoints.check_names(others, known)
            out.update(super().evaluate(results, others, logger, jsonfile_prefix, **kwargs))
        if 'keypoints' in metrics:
            sigmas = metrics_of_keypoints.check_sigmas(
                self.skeleton.sigmas if keypoint_sigmas is None else keypoint_sigmas, len(self.skeleton.names)
            )
            out.update(self._evaluate_keypoints(results, sigmas, logger, jsonfile_prefix))
        return out

    def _evaluate_keypoints(
        self, results: Sequence[Any], sigmas: np.ndarray, logger, jsonfile_prefix: str | None
    ) -> dict[str, float]:
        files, folder = self._write_for_metrics(results, jsonfile_prefix)
        try:
            if 'keypoints' not in files:
                raise MissingResultsError(f"metric 'keypoints': the results hold only {', '.join(files) or 'nothing'}")
            print_log('Evaluating keypoints...', logger=logger)
            figures = metrics_of_keypoints.run_keypoint_eval(
                self.coco, files['keypoints'], self.cat_ids, self.img_ids, sigmas, logger
            )
        finally:
            if folder is not None:
                folder.cleanup()
        print_log('\n' + metrics_of_keypoints.keypoint_table(figures), logger=logger)
        return OrderedDict((f'keypoints_{name}', round(value, 4)) for name, value in figures.items())
