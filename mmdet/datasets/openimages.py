"""Open Images V6 and the challenge of 2019."""

import os.path as osp
from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np

from mmdet.datasets.audit.image_check import find_loader, read_image_size
from mmdet.datasets.custom import DISK, CustomDataset, under
from mmdet.datasets.formats import openimages_files as files
from mmdet.datasets.metrics.custom_metrics import only_metric
from mmdet.datasets.metrics.openimages_metrics import expand_and_filter, map_of_thresholds, with_ancestors
from mmdet.datasets.mixing.verified_classes import note_verified, open_images_verified
from mmdet.datasets.registry import DATASETS
from mmdet.utils.plain_data import load_plain

# names of ``ann_info``, in the order of ``openimages_files.FLAGS``
_FLAG_NAMES = ('is_occludeds', 'is_truncateds', 'gt_is_group_ofs', 'is_depictions', 'is_insides')


@DATASETS.register_module()
class OpenImagesDataset(CustomDataset):
    """Open Images V6. Boxes are fractions of the image's size: ``LoadAnnotations`` needs ``denorm_bbox=True``.

    Args:
        ann_file: table of the boxes.
        label_file: table of the classes; it decides what label a class has.
        image_level_ann_file: table of the labels of whole images; for evaluation and ``verified_classes``.
        get_supercategory: in evaluation, an object of a class also is one of every class above it.
        hierarchy_file: tree of the classes; needed for that.
        get_metas: not needed: sizes of images that are not in ``meta_file`` are always found.
        load_from_file: take the sizes of the images, in evaluation, from ``meta_file`` if there is one. What is not
            known from there or, with False, from the pipeline's images, is read from the image files.
        meta_file: pickle or JSON: a list with ``filename`` and ``ori_shape`` of each image.
        filter_labels: in evaluation, leave out detections of classes that nobody looked for in the image.
        load_image_level_labels: in evaluation, also labels of whole images say what was looked for.
        verified_classes: note in each image's entry the labels of the classes that were looked for (see
            ``open_images_verified``), by ``image_level_ann_file`` and, if there is one, ``hierarchy_file``; the
            pipeline hands them on (docs/partial_labels.md).
        file_client_args: arguments of ``mmcv.FileClient``.
        **kwargs: arguments of :class:`CustomDataset`, without ``classes``.

    Attributes:
        index_dict: machine name of a class -> label.
        class_label_tree: (K, K) bool; row: class, column: itself and its ancestors; None without ``hierarchy_file``.
        test_img_metas: meta information of images whose sizes the pipeline or ``meta_file`` has given.

    Raises:
        ValueError: ``classes`` is given, a file is not as it should be, or one that is needed is not given.
    """

    BOXES_ARE_FRACTIONS = True

    def __init__(
        self,
        ann_file: str,
        label_file: str = '',
        image_level_ann_file: str = '',
        get_supercategory: bool = True,
        hierarchy_file: str | None = None,
        get_metas: bool = True,
        load_from_file: bool = True,
        meta_file: str = '',
        filter_labels: bool = True,
        load_image_level_labels: bool = True,
        file_client_args: dict = DISK,
        verified_classes: bool = False,
        **kwargs,
    ):
        if kwargs.pop('classes', None) is not None:
            raise ValueError(f'{type(self).__name__}: classes come from label_file; remove the argument classes')
        root = kwargs.get('data_root')
        self.image_level_ann_file = under(root, image_level_ann_file or None)
        self.meta_file = under(root, meta_file or None)
        self.get_supercategory = get_supercategory
        self.get_metas = get_metas
        self.load_from_file = load_from_file
        self.filter_labels = filter_labels
        self.load_image_level_labels = load_image_level_labels
        self.verified_classes = verified_classes
        self.file_client = mmcv.FileClient(**dict(file_client_args))
        self.index_dict: dict[str, int] = {}
        names = self.get_classes_from_csv(under(root, label_file))
        if hierarchy_file is None and get_supercategory:
            raise ValueError(
                f'{type(self).__name__}: get_supercategory=True needs hierarchy_file; to evaluate without the '
                'hierarchy set get_supercategory=False'
            )
        known = hierarchy_file is not None
        self.class_label_tree = self.get_relation_matrix(under(root, hierarchy_file)) if known else None
        self.test_img_shapes: dict[str, tuple[int, int]] = {}
        self.test_img_metas: list[dict] = []
        super().__init__(ann_file=ann_file, file_client_args=file_client_args, classes=names, **kwargs)

    def _read_lines(self, path: str) -> list[str]:
        try:
            return self.file_client.get_text(path).splitlines()
        except FileNotFoundError as err:
            raise FileNotFoundError(f'{type(self).__name__}: {path!r} is not there') from err

    def get_classes_from_csv(self, label_file: str) -> list[str]:
        """Names of the classes; sets ``index_dict``."""
        table = files.read_classes(self._read_lines(label_file), label_file)
        self.index_dict = table.label_of
        return table.names

    def load_annotations(self, ann_file: str) -> list[dict]:
        """Read the boxes: ``img_id``, ``filename`` and the place in the table of each image."""
        with open(ann_file, newline='') as lines:
            self.boxes = files.read_boxes(lines, self.ann_file, self.index_dict)
        return self._entries_of_table()

    def _entries_of_table(self) -> list[dict]:
        infos = [
            dict(img_id=osp.splitext(osp.basename(name))[0], filename=name, row=i)
            for i, name in enumerate(self.boxes.filenames)
        ]
        if self.verified_classes:
            self._note_verified_classes(infos)
        return infos

    def _note_verified_classes(self, infos: Sequence[dict]) -> None:
        """Write the classes that were looked for into the entries of the images."""
        if not self.image_level_ann_file:
            raise ValueError(
                f'{type(self).__name__}: verified_classes=True needs image_level_ann_file, the table of the labels of '
                'whole images that people have verified'
            )
        verified = self.load_image_label_from_csv(self.image_level_ann_file)
        ancestors = self._ancestors()
        for info in infos:
            boxed = self.boxes.labels[self.boxes.rows(info['row'])].tolist()
            note_verified(info, open_images_verified(boxed, verified.get(info['img_id'], ()), ancestors))

    def get_ann_info(self, idx: int) -> dict:
        """Annotations of an image.

        Returns:
            ``bboxes`` (n, 4) float32 xyxy, fractions of the image's size, ``labels`` (n,), ``bboxes_ignore`` (0, 4),
            and (n,) bool ``gt_is_group_ofs``, ``is_occludeds``, ``is_truncateds``, ``is_depictions``, ``is_insides``.
        """
        rows = self.boxes.rows(self.data_infos[idx]['row'])
        return dict(
            bboxes=self.boxes.bboxes[rows].copy(),
            labels=self.boxes.labels[rows].astype(np.int64),
            bboxes_ignore=np.zeros((0, 4), dtype=np.float32),
            **dict(zip(_FLAG_NAMES, self.boxes.flags[rows].T.copy())),
        )

    def get_cat_ids(self, idx: int) -> list[int]:
        """Label of every box of an image."""
        return self.boxes.labels[self.boxes.rows(self.data_infos[idx]['row'])].tolist()

    def _train_ann_info(self, idx: int) -> dict:
        ann = self.get_ann_info(idx)
        low, high = ann['bboxes'][:, :2], ann['bboxes'][:, 2:]
        usable = (np.minimum(high, 1) > np.maximum(low, 0)).all(1)
        return {key: value if key == 'bboxes_ignore' else value[usable] for key, value in ann.items()}

    def _filter_imgs(self, min_size: int = 32) -> list[int]:
        """Numbers of the images to train on; their size is not known before they are read."""
        kept = np.ones(len(self.data_infos), dtype=bool)
        if self.filter_empty_gt:
            kept = np.diff(self.boxes.starts) > 0
            self._count_filtered('without an object', len(kept) - kept.sum())
        return np.flatnonzero(kept).tolist()

    def _set_group_flag(self) -> None:
        """All images are of one group, as their shapes are not known before they are read."""
        self.flag = np.zeros(len(self), dtype=np.uint8)

    def prepare_test_img(self, idx: int) -> Any:
        """Run the pipeline on an image without its annotations."""
        results = super().prepare_test_img(idx)
        if self.get_metas and not self.load_from_file:
            self.get_meta_from_pipeline(results)
        return results

    def get_meta_from_pipeline(self, results: dict) -> None:
        """Remember the sizes of images that the pipeline gave."""
        containers = results['img_metas']
        self._remember_sizes(metas.data for metas in (containers if isinstance(containers, list) else [containers]))

    def get_meta_from_file(self, meta_file: str = '') -> None:
        """Remember the sizes of images in a file.

        Raises:
            FileNotFoundError: there is no such file.
        """
        self._remember_sizes(load_plain(meta_file or self.meta_file))

    def _remember_sizes(self, metas: Any) -> None:
        for meta in metas:
            self.test_img_metas.append(meta)
            height, width = meta['ori_shape'][:2]
            self.test_img_shapes[osp.basename(meta.get('ori_filename') or meta['filename'])] = int(height), int(width)

    def get_img_shape(self, metas: Sequence[dict]) -> list[tuple[int, int]]:
        """Height and width of images, from their entries: those known already, else from the image files."""
        loader = find_loader(self.pipeline)
        shapes = []
        for info in metas:
            name = osp.basename(info['filename'])
            if name not in self.test_img_shapes:
                if loader is None:
                    raise ValueError(
                        f'{type(self).__name__}: the size of {info["filename"]} is not known; give meta_file, or a '
                        'pipeline with LoadImageFromFile'
                    )
                self.test_img_shapes[name] = read_image_size(loader, info, self.img_prefix)[::-1]
            shapes.append(self.test_img_shapes[name])
        return shapes

    def denormalize_gt_bboxes(self, annotations: Sequence[dict]) -> list[dict]:
        """Annotations of all images with boxes in px."""
        sizes = [np.asarray([w, h, w, h], dtype=np.float32) for h, w in self.get_img_shape(self.data_infos)]
        return [dict(ann, bboxes=ann['bboxes'] * size) for ann, size in zip(annotations, sizes)]

    def get_relation_matrix(self, hierarchy_file: str) -> np.ndarray:
        """(K, K) bool; row: class, column: itself and its ancestors."""
        return files.read_ancestors(hierarchy_file, self.index_dict, self.file_client.get(hierarchy_file))

    def _convert_hierarchy_tree(
        self,
        hierarchy_map: dict,
        class_label_tree: np.ndarray,
        parents: Sequence[int] = (),
        get_all_parents: bool = True,
    ) -> np.ndarray:
        """Mark the ancestors of the classes below a node; see ``openimages_files.ancestors_from_tree``."""
        return files.ancestors_from_tree(hierarchy_map, class_label_tree, self.index_dict, parents, get_all_parents)

    def _ancestors(self) -> np.ndarray:
        """The ancestors of each class; without a hierarchy only the class itself."""
        return np.eye(len(self.CLASSES), dtype=bool) if self.class_label_tree is None else self.class_label_tree

    def add_supercategory_ann(self, annotations: Sequence[dict]) -> list[dict]:
        """Annotations of images with a further box for each class above each box's."""
        return [with_ancestors(ann, self._ancestors()) for ann in annotations]

    def load_image_label_from_csv(self, image_level_ann_file: str) -> dict[str, list[tuple]]:
        """Image id -> pairs of label and confidence."""
        return files.read_image_labels(self._read_lines(image_level_ann_file), image_level_ann_file, self.index_dict)

    def get_image_level_ann(self, image_level_ann_file: str | None) -> list[dict]:
        """For each image ``image_level_labels`` (m,) int64 and ``confidences`` (m,) float32.

        Raises:
            ValueError: there is no file.
        """
        if not image_level_ann_file:
            raise ValueError(
                f'{type(self).__name__}: load_image_level_labels=True needs image_level_ann_file; to evaluate without '
                'labels of whole images set load_image_level_labels=False'
            )
        found = self.load_image_label_from_csv(image_level_ann_file)
        return [files.image_label_arrays(found.get(info['img_id'], ())) for info in self.data_infos]

    def process_results(
        self,
        det_results: Sequence[Sequence[np.ndarray]],
        annotations: Sequence[dict],
        image_level_annotations: Sequence[dict] | None = None,
    ) -> list[list[np.ndarray]]:
        """Results with detections also for the classes above theirs, and without those nobody looked for.

        Args:
            det_results: for each image, for each class (n, 5); not changed.
            annotations: of each image, with the classes above.
            image_level_annotations: labels of each whole image.
        """
        known = [np.asarray(ann['labels'], dtype=np.int64) for ann in annotations]
        if image_level_annotations is not None:
            known = [np.append(k, ann['image_level_labels']) for k, ann in zip(known, image_level_annotations)]
        return [
            expand_and_filter(dets, labels, self._ancestors(), self.get_supercategory, self.filter_labels)
            for dets, labels in zip(det_results, known)
        ]

    def evaluate(
        self,
        results: Sequence[Sequence[np.ndarray]],
        metric: str | Sequence[str] = 'mAP',
        logger=None,
        iou_thr: float | Sequence[float] = 0.5,
        ioa_thr: float | Sequence[float] = 0.5,
        scale_ranges: Sequence[tuple[float, float]] | None = None,
        denorm_gt_bbox: bool = True,
        use_group_of: bool = True,
        classwise: bool = False,
    ) -> dict[str, float]:
        """Evaluate as Open Images does.

        Args:
            results: for each image, for each class (n, 5) xyxy px and score.
            metric: ``'mAP'``.
            logger: a logger, None (print) or ``'silent'``.
            iou_thr, ioa_thr, scale_ranges, use_group_of: see :func:`map_of_thresholds`.
            denorm_gt_bbox: the boxes are fractions; turn them into px.
            classwise: also AP of each class that has objects: ``AP50/cat``, ...

        Returns:
            ``AP50``, ... and ``mAP``, their mean.

        Raises:
            KeyError: another metric.
            ValueError: not one result for each image, or a file that is needed is not given.
        """
        only_metric(metric, ('mAP',), type(self).__name__)
        self._check_count('results', results)
        annotations = [self.get_ann_info(i) for i in range(len(self))]
        image_level = self.get_image_level_ann(self.image_level_ann_file) if self.load_image_level_labels else None
        if denorm_gt_bbox:
            if self.load_from_file and self.meta_file:
                self.get_meta_from_file(self.meta_file)
            annotations = self.denormalize_gt_bboxes(annotations)
        if self.get_supercategory:
            annotations = self.add_supercategory_ann(annotations)
        results = self.process_results(results, annotations, image_level)
        of_groups = ioa_thr, use_group_of
        out = scale_ranges, self.CLASSES, classwise, logger
        return map_of_thresholds(annotations, results, iou_thr, *of_groups, *out)


@DATASETS.register_module()
class OpenImagesChallengeDataset(OpenImagesDataset):
    """The challenge of 2019, 500 classes.

    Args:
        ann_file: text file of the boxes.
        **kwargs: arguments of :class:`OpenImagesDataset`; ``label_file`` has the numbers of the classes, and
            ``hierarchy_file`` may be an array of numpy.
    """

    def __init__(self, ann_file: str, **kwargs):
        super().__init__(ann_file=ann_file, **kwargs)

    def get_classes_from_csv(self, label_file: str) -> list[str]:
        """Names of the classes, by their numbers; sets ``index_dict``."""
        table = files.read_challenge_classes(self._read_lines(label_file), label_file)
        self.index_dict = table.label_of
        return table.names

    def load_annotations(self, ann_file: str) -> list[dict]:
        """Read the boxes: ``img_id``, ``filename`` and the place in the table of each image."""
        with open(ann_file) as lines:
            self.boxes = files.read_challenge_boxes(lines.readlines(), self.ann_file, len(self.index_dict))
        return self._entries_of_table()
