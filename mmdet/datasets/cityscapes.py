"""Cityscapes: instances, evaluated in COCO's way or with Cityscapes' own scripts."""

import contextlib
import glob
import os.path as osp
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import mmcv
import numpy as np
import pycocotools.mask as mask_utils
from mmcv.utils import print_log

from mmdet.core.evaluation import class_lists
from mmdet.core.visualization.dataset_colours import CITYSCAPES_PALETTE
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.metrics.coco_metrics import STEPPED_IOU_THRS
from mmdet.datasets.registry import DATASETS
from mmdet.utils.output_paths import OutputPaths

# Ids of the classes in Cityscapes' own files.
_CITYSCAPES_IDS = dict(person=24, rider=25, car=26, truck=27, bus=28, train=31, motorcycle=32, bicycle=33)


@DATASETS.register_module()
class CityscapesDataset(CocoDataset):
    """Cityscapes with annotations in COCO's format; arguments are those of :class:`CocoDataset`."""

    CLASSES = class_lists.CITYSCAPES
    PALETTE = CITYSCAPES_PALETTE

    def _filter_imgs(self, min_size: int = 32) -> list[int]:
        """Numbers of the images to train on; one with crowds only counts as without objects."""
        kept = super()._filter_imgs(min_size)
        if not self.filter_empty_gt:
            return kept
        single = [not all(ann['iscrowd'] for ann in self.coco.img_ann_map[img_id]) for img_id in self.img_ids]
        self._count_filtered('with crowds only', len(single) - sum(single))
        self.img_ids = [img_id for img_id, use in zip(self.img_ids, single) if use]
        return [i for i, use in zip(kept, single) if use]

    def results2txt(self, results: Sequence[tuple], outfile_prefix: str) -> list[str]:
        """Write results as Cityscapes' scripts want them: a list of instances for each image, and a PNG for each mask.

        Args:
            results: for each image detections of each class (n, 5) and masks of each class, n run lengths.
            outfile_prefix: folder.

        Returns:
            The lists' file names.
        """
        files, paths = [], OutputPaths(outfile_prefix)
        for info, (dets, segms) in zip(self.data_infos, results):
            segms, scores = segms if isinstance(segms, tuple) else (segms, [det[:, -1] for det in dets])
            name, lines = Path(info['filename']).stem, []
            for label, masks in enumerate(segms):
                class_id = _CITYSCAPES_IDS[self.CLASSES[label]]
                for i, mask in enumerate(masks):
                    png = paths(f'{name}_{len(lines)}_{self.CLASSES[label]}.png')
                    mmcv.imwrite(mask_utils.decode(mask) * 255, str(png))
                    lines.append(f'{png.name} {class_id} {float(scores[label][i])}\n')
            files.append(str(paths(f'{name}_pred.txt')))
            with open(files[-1], 'w') as file:
                file.writelines(lines)
        return files

    def format_results(
        self, results: Sequence[tuple], txtfile_prefix: str | None = None
    ) -> tuple[list[str], tempfile.TemporaryDirectory | None]:
        """Write results as Cityscapes' scripts want them.

        Args:
            results: one for each image.
            txtfile_prefix: folder; None: a temporary one.

        Returns:
            The files, and the temporary folder, which goes with that object, or None.
        """
        self._check_count('results', results)
        folder = tempfile.TemporaryDirectory() if txtfile_prefix is None else None
        return self.results2txt(results, folder.name if folder else txtfile_prefix), folder

    def evaluate(
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = 'bbox',
        logger=None,
        outfile_prefix: str | None = None,
        classwise: bool = False,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thrs: Sequence[float] = STEPPED_IOU_THRS,
    ) -> dict[str, float | str]:
        """Evaluate with COCO's metrics, and with Cityscapes' own where ``metric`` has ``'cityscapes'``.

        Other arguments are those of :meth:`CocoDataset.evaluate`; ``outfile_prefix`` is where results are written to.

        Returns:
            COCO's figures, and ``mAP`` and ``AP@50`` of Cityscapes.
        """
        metrics = [metric] if isinstance(metric, str) else list(metric)
        out: dict[str, float | str] = OrderedDict()
        if 'cityscapes' in metrics:
            out.update(self._evaluate_cityscapes(results, outfile_prefix, logger))
        metrics = [name for name in metrics if name != 'cityscapes']
        if metrics:
            out.update(super().evaluate(results, metrics, logger, outfile_prefix, classwise, proposal_nums, iou_thrs))
        return out

    def _write_for_metrics(
        self, results: Sequence[Any], prefix: str | None
    ) -> tuple[dict[str, str], tempfile.TemporaryDirectory | None]:
        return CocoDataset.format_results(self, results, prefix)

    def _evaluate_cityscapes(self, results: Sequence[Any], txtfile_prefix: str | None, logger) -> dict[str, float]:
        """Run Cityscapes' scripts; the true maps are looked for beside the images: leftImg8bit -> gtFine.

        Raises:
            ImportError: the package cityscapesscripts is not installed.
            FileNotFoundError: there are no true maps.
        """
        try:
            import cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling as scripts
        except ImportError as err:
            raise ImportError(
                f"metric 'cityscapes' needs the package cityscapesscripts: pip install cityscapesscripts ({err})"
            ) from err
        print_log('Evaluating in the manner of Cityscapes...', logger=logger)
        pattern = osp.join(self.img_prefix.replace('leftImg8bit', 'gtFine'), '*/*_gtFine_instanceIds.png')
        truths = glob.glob(pattern)
        if not truths:
            raise FileNotFoundError(f'There are no true instance maps: {pattern}')
        _, folder = self.format_results(results, txtfile_prefix)
        try:
            scripts.args.cityscapesPath = osp.join(self.img_prefix, '../..')
            scripts.args.predictionPath = osp.abspath(folder.name if folder else txtfile_prefix)
            scripts.args.predictionWalk = None
            scripts.args.JSONOutput = False
            scripts.args.colorized = False
            scripts.args.gtInstancesFile = osp.join(scripts.args.predictionPath, 'gtInstances.json')
            predictions = [scripts.getPrediction(truth, scripts.args) for truth in truths]
            scripts.args.quiet = True
            averages = _instance_averages(scripts, predictions, truths)
        finally:
            if folder is not None:
                folder.cleanup()
        return OrderedDict(mAP=float(averages['allAp']), **{'AP@50': float(averages['allAp50%'])})


def _instance_averages(scripts: ModuleType, predictions: list[str], truths: list[str]) -> dict[str, float]:
    """The steps of the scripts' ``evaluateImgLists``, without its file ``matches.json`` in the current folder.

    Release 2.3.0 fails while it writes that file, and calls ``np.in1d``, which numpy 2.4 has not.
    """
    with _with_in1d():
        scripts.setInstanceLabels(scripts.args)
        true_instances = scripts.getGtInstances(truths, scripts.args)
        matches = scripts.matchGtWithPreds(predictions, truths, true_instances, scripts.args)
        return scripts.computeAverages(scripts.evaluateMatches(matches, scripts.args), scripts.args)


@contextlib.contextmanager
def _with_in1d() -> Iterator[None]:
    """numpy with its old function ``in1d``, for the time of the call."""
    if hasattr(np, 'in1d'):
        yield
        return
    np.in1d = lambda values, test: np.isin(np.ravel(values), test)  # noqa: NPY201 - the package's own need
    try:
        yield
    finally:
        del np.in1d  # noqa: NPY201
