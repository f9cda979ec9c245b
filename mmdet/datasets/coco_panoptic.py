"""Data sets in COCO's panoptic format."""

import copy
import os.path as osp
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mmcv
import numpy as np

from mmdet.core.evaluation import class_lists
from mmdet.core.evaluation.panoptic_utils import INSTANCE_OFFSET, VOID, id2rgb
from mmdet.core.visualization.dataset_colours import COCO_PANOPTIC_PALETTE
from mmdet.datasets.api_wrappers import COCO, COCOPanoptic, pq_compute_multi_core
from mmdet.datasets.audit.annotation_rules import fill_annotations, format_list, repeated_ids
from mmdet.datasets.audit.checks import PANOPTIC_COUNTS
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.custom import DISK, under
from mmdet.datasets.formats.coco_entries import xyxy_of
from mmdet.datasets.metrics.coco_results import write_result_files
from mmdet.datasets.metrics.panoptic_results import (
    GROUPS,
    parse_pq_results,
    picture_folder,
    print_panoptic_table,
    write_panoptic_picture,
)
from mmdet.datasets.registry import DATASETS
from mmdet.utils.errors import MissingResultsError
from mmdet.utils.output_paths import OutputPaths
from mmdet.utils.registry import did_you_mean

METRICS = ('PQ', 'bbox', 'segm', 'proposal')


@DATASETS.register_module()
class CocoPanopticDataset(CocoDataset):
    """Images whose pixels all belong to segments: objects (things) and regions (stuff).

    Label i is ``CLASSES[i]``, things before stuff.

    Args:
        ann_file: annotation file in COCO's panoptic format.
        ins_ann_file: annotation file of the objects in COCO's ordinary format, for the metrics other than PQ.
        seg_prefix: folder of the pictures of segments.
        pipeline, classes, data_root, img_prefix, proposal_file, test_mode, filter_empty_gt, file_client_args,
            skip_broken: see :class:`CustomDataset`; an image without things is one without objects.

    Raises:
        ValueError: ids of images or categories are there twice, or a class of stuff stands before one of things.
    """

    THING_CLASSES = class_lists.COCO
    STUFF_CLASSES = class_lists.COCO_STUFF
    CLASSES = (*class_lists.COCO, *class_lists.COCO_STUFF)
    PALETTE = COCO_PANOPTIC_PALETTE

    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence[dict | Callable],
        ins_ann_file: str | None = None,
        classes: str | Sequence[str] | None = None,
        data_root: str | None = None,
        img_prefix: str | None = '',
        seg_prefix: str | None = None,
        proposal_file: str | None = None,
        test_mode: bool = False,
        filter_empty_gt: bool = True,
        file_client_args: dict = DISK,
        skip_broken: bool = False,
        directives: Mapping[str, Any] | None = None,
        from_img_info: Sequence[str] | Mapping[str, str] = (),
    ) -> None:
        super().__init__(
            ann_file,
            pipeline,
            classes=classes,
            data_root=data_root,
            img_prefix=img_prefix,
            seg_prefix=seg_prefix,
            proposal_file=proposal_file,
            test_mode=test_mode,
            filter_empty_gt=filter_empty_gt,
            file_client_args=file_client_args,
            skip_broken=skip_broken,
            directives=directives,
            from_img_info=from_img_info,
        )
        self.ins_ann_file = under(data_root, ins_ann_file)

    def load_annotations(self, ann_file: str) -> list[dict]:
        """Read the annotation file: the image entries, with ``filename`` and ``segm_file``."""
        self.coco = COCOPanoptic(ann_file)
        twice = self.repeated_ids(self.coco)
        if twice:
            raise ValueError(f'{self.ann_file}: {"; ".join(twice)}. Number them anew, each once.')
        for segments in self.coco.img_ann_map.values():
            fill_annotations(segments, self.ann_file)
        self._set_categories()
        self._check_things_first()
        self.categories = self.coco.cats
        self.img_ids = self.coco.get_img_ids()
        return [self._image_entry(img_id) for img_id in self.img_ids]

    @staticmethod
    def repeated_ids(coco: COCOPanoptic) -> list[str]:
        """What a file gives more than once; annotations have no ids, and segments one that is their image's own."""
        return repeated_ids({key: coco.dataset[key] for key in ('images', 'categories') if key in coco.dataset})

    @staticmethod
    def annotations_of_file(coco: COCOPanoptic) -> list[dict]:
        """All segments, each with its ``image_id``."""
        return [segment for segments in coco.img_ann_map.values() for segment in segments]

    def _is_thing(self, cat_id: int) -> bool:
        return bool(self.coco.cats[cat_id]['isthing'])

    def num_classes_of(self, head: str) -> int:
        """How many classes a head must predict: things, or stuff and one for all things, or both in the fusion."""
        things = sum(map(self._is_thing, self.cat_ids))
        part = head.split('.')[-1]
        if part in PANOPTIC_COUNTS:
            return things if part == 'num_things_classes' else len(self.CLASSES) - things
        # '' is the detector itself, and 'module' where it is wrapped
        if part in ('', 'module', 'panoptic_head', 'panoptic_fusion_head'):
            return len(self.CLASSES)
        return len(self.CLASSES) - things + 1 if part == 'semantic_head' else things

    def _check_things_first(self) -> None:
        """The heads distinguish things from stuff by the label."""
        kinds = [self._is_thing(cat_id) for cat_id in self.cat_ids]
        if kinds != sorted(kinds, reverse=True):
            things = [self.CLASSES[self.cat2label[c]] for c, thing in zip(self.cat_ids, kinds) if thing]
            raise ValueError(
                f'{type(self).__name__}: classes must name all things before all stuff; the things of {self.ann_file} '
                f'are {format_list(things)}'
            )

    def _images_with_objects(self) -> set[int]:
        things = filter(self._is_thing, self.cat_ids)
        return {img_id for cat_id in things for img_id in self.coco.cat_img_map.get(cat_id, ())}

    def _parse_ann_info(self, img_info: dict, ann_info: Sequence[dict]) -> dict:
        """Arrays from the segments of an image.

        Returns:
            ``bboxes`` (n, 4) float32 xyxy px and ``labels`` (n,) int64 of the objects, ``bboxes_ignore`` (k, 4)
            (crowds), ``masks``, for each segment its ``id``, ``category`` (label) and ``is_thing`` (False for crowds,
            which have no mask of their own), and ``seg_map``, the name of the picture.
        """
        segments = self._usable_annotations(img_info, ann_info)
        things = [segment for segment in segments if self._is_thing(segment['category_id'])]
        objects = [segment for segment in things if not segment['iscrowd']]
        of_objects = {segment['id'] for segment in objects}
        return dict(
            bboxes=xyxy_of(objects),
            labels=np.asarray([self.cat2label[segment['category_id']] for segment in objects], dtype=np.int64),
            bboxes_ignore=xyxy_of([segment for segment in things if segment['iscrowd']]),
            masks=[
                dict(
                    id=segment['id'],
                    category=self.cat2label[segment['category_id']],
                    is_thing=segment['id'] in of_objects,
                )
                for segment in segments
            ],
            seg_map=img_info['segm_file'],
            annotations=objects,
        )

    def _pan2json(self, results: Sequence[np.ndarray], outfile_prefix: str) -> dict[str, list[dict]]:
        """Write the pictures of panoptic maps (h, w) and give the content of the file that lists their segments."""
        folder, label2cat = picture_folder(outfile_prefix), self._label2cat()
        paths, annotations = OutputPaths(folder), []
        for img_id, info, panoptic in zip(self.img_ids, self.data_infos, results):
            path = paths(info['segm_file'], osp.join(self.seg_prefix or '', info['segm_file']))
            segments = write_panoptic_picture(np.asarray(panoptic), str(path), label2cat, len(self.CLASSES))
            name = path.relative_to(folder).as_posix()
            annotations.append(dict(image_id=img_id, file_name=name, segments_info=segments))
        return dict(annotations=annotations)

    def results2json(self, results: Sequence[dict], outfile_prefix: str) -> dict[str, str]:
        """Write results as COCO's files.

        Args:
            results: for each image a dict: ``pan_results`` (h, w), ``ins_results``, a pair of detections and masks of
                each class; one of them or both.
            outfile_prefix: the files are ``<prefix>.panoptic.json`` with pictures in a folder ``panoptic`` beside it,
                ``.bbox.json`` and ``.segm.json``.

        Returns:
            Kind of result (``'panoptic'``, ``'bbox'``, ``'proposal'``, ``'segm'``) -> file.

        Raises:
            TypeError: results of another kind.
        """
        first = results[0] if len(results) else dict(pan_results=())
        if not isinstance(first, dict) or not {'pan_results', 'ins_results'} & set(first):
            raise TypeError(
                "results: expected for each image a dict with 'pan_results' or 'ins_results', got "
                f'{sorted(first) if isinstance(first, dict) else type(first).__name__}'
            )
        files = {}
        if 'pan_results' in first:
            files['panoptic'] = f'{outfile_prefix}.panoptic.json'
            maps = [result['pan_results'] for result in results]
            mmcv.dump(self._pan2json(maps, outfile_prefix), files['panoptic'])
        if 'ins_results' in first:
            boxes, masks = self._segm2json([result['ins_results'] for result in results])
            files.update(write_result_files(outfile_prefix, bbox=boxes, segm=masks))
        return files

    def evaluate_pan_json(
        self,
        result_files: dict[str, str],
        outfile_prefix: str,
        logger: Any = None,
        classwise: bool = False,
        nproc: int = 32,
    ) -> dict[str, float | str]:
        """Panoptic quality of results that are written already; see :meth:`evaluate`.

        Raises:
            KeyError: the results hold no panoptic maps.
            ValueError: an image has no prediction.
        """
        if 'panoptic' not in result_files:
            raise MissingResultsError(f"metric 'PQ': the results hold only {', '.join(result_files)}")
        predictions = {entry['image_id']: entry for entry in mmcv.load(result_files['panoptic'])['annotations']}
        missing = [img_id for img_id in self.img_ids if img_id not in predictions]
        if missing:
            raise ValueError(f'{result_files["panoptic"]}: no prediction for the images {format_list(missing)}')
        pairs = [(self._truth_entry(img_id), predictions[img_id]) for img_id in self.img_ids]
        stat = pq_compute_multi_core(
            pairs, self.seg_prefix, picture_folder(outfile_prefix), self.categories, self.file_client, nproc
        )
        categories = {cat_id: self.categories[cat_id] for cat_id in self.cat_ids}
        groups = {name: stat.pq_average(categories, of)[0] for name, of in zip(GROUPS, (None, True, False))}
        per_class = None
        if classwise:
            figures = stat.pq_average(categories)[1]
            per_class = {self.CLASSES[self.cat2label[cat_id]]: figures[cat_id] for cat_id in self.cat_ids}
        print_panoptic_table(groups, per_class, logger)
        out: dict[str, float | str] = parse_pq_results(groups)
        out['PQ_copypaste'] = ' '.join(f'{value:.3f}' for value in out.values())
        return out

    def _truth_entry(self, img_id: int) -> dict:
        """The entry of an image in the annotation file; segments of left-out categories are void."""
        segments = [s for s in self.coco.img_ann_map.get(img_id, ()) if s['category_id'] in self.cat2label]
        return dict(image_id=img_id, file_name=self.coco.imgs[img_id]['segm_file'], segments_info=segments)

    def evaluate(
        self,
        results: Sequence[dict],
        metric: str | Sequence[str] = 'PQ',
        logger: Any = None,
        jsonfile_prefix: str | None = None,
        classwise: bool = False,
        nproc: int = 32,
        **kwargs: Any,
    ) -> dict[str, float | str]:
        """Evaluate results with panoptic quality, and objects with COCO's metrics.

        Args:
            results: see :meth:`results2json`.
            metric: one or several of ``'PQ'`` (also ``'pq'``), ``'bbox'``, ``'segm'``, ``'proposal'``.
            logger: a logger, None (print) or ``'silent'``.
            jsonfile_prefix: where the results are written to; None: nowhere that stays.
            classwise: also print the figures of each class.
            nproc: workers, for PQ.
            kwargs: more arguments of :meth:`CocoDataset.evaluate_det_segm`.

        Returns:
            ``PQ``, ``SQ``, ``RQ``, ``PQ_th``, ... ``RQ_st`` in per cent, ``PQ_copypaste`` (a text), and those of COCO.

        Raises:
            KeyError: another metric, or one for which the results hold nothing.
            ValueError: not one result for each image, or no ``ins_ann_file`` where it is needed.
        """
        metrics = ['PQ' if name == 'pq' else name for name in ([metric] if isinstance(metric, str) else metric)]
        for name in metrics:
            if name not in METRICS:
                raise KeyError(
                    f'metric {name!r} is not supported{did_you_mean(name, METRICS)} Known: {", ".join(METRICS)}'
                )
        of_objects = [name for name in metrics if name != 'PQ']
        if of_objects and self.ins_ann_file is None:
            raise ValueError(f'metric {of_objects[0]!r} needs ins_ann_file, the annotations of the objects')
        files, folder = self.format_results(results, jsonfile_prefix)
        prefix = jsonfile_prefix if folder is None else osp.join(folder.name, 'results')
        out: dict[str, float | str] = {}
        try:
            if 'PQ' in metrics:
                out.update(self.evaluate_pan_json(files, prefix, logger, classwise, nproc))
            if of_objects:
                out.update(self._evaluate_objects(results, files, of_objects, logger, classwise, **kwargs))
        finally:
            if folder is not None:
                folder.cleanup()
        return out

    def _evaluate_objects(
        self,
        results: Sequence[dict],
        files: dict[str, str],
        metrics: Sequence[str],
        logger: Any,
        classwise: bool,
        **kwargs: Any,
    ) -> dict[str, float | str]:
        things = copy.copy(self)  # the same data set, with the classes of things alone
        things.cat_ids = [cat_id for cat_id in self.cat_ids if self._is_thing(cat_id)]
        return things.evaluate_det_segm(results, files, COCO(self.ins_ann_file), metrics, logger, classwise, **kwargs)


__all__ = [
    'COCOPanoptic',
    'CocoPanopticDataset',
    'INSTANCE_OFFSET',
    'VOID',
    'id2rgb',
    'parse_pq_results',
    'print_panoptic_table',
]
