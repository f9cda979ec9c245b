"""The base of the data sets: a list of images with annotations, and a pipeline that loads them."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mmcv
import numpy as np
from torch.utils.data import Dataset

from mmdet.datasets.audit.annotation_rules import drop_unusable
from mmdet.datasets.audit.broken_images import BROKEN, BrokenImages
from mmdet.datasets.audit.checks import all_classes
from mmdet.datasets.audit.files import readable_images
from mmdet.datasets.audit.usable_samples import first_usable, naming_broken_file
from mmdet.datasets.formats.class_names import instance_table, labels_to_images, read_class_names
from mmdet.datasets.formats.custom_entries import read_entries
from mmdet.datasets.formats.fetched_file import load_fetched, under
from mmdet.datasets.memory import image_cache
from mmdet.datasets.memory.shared_list import SharedList
from mmdet.datasets.metrics.custom_metrics import map_metrics, only_metric, recall_metrics
from mmdet.datasets.mixing.image_fields import add_directives
from mmdet.datasets.mixing.label_spaces import Rename, classes_of_source, relabel_entries
from mmdet.datasets.pipelines.compose import Compose
from mmdet.datasets.pipelines.transforms.resize import set_scale
from mmdet.datasets.registry import DATASETS
from mmdet.utils.plain_data import load_plain
from mmdet.utils.running.allocator import return_freed_memory

# The default of ``file_client_args``; copied before it is used.
DISK = dict(backend='disk')


@DATASETS.register_module()
class CustomDataset(Dataset):
    """Images with annotations in mmdetection's own format, and the base of all data sets.

    The annotation file is a pickle, JSON or YAML list with an entry for each image; boxes are xyxy px::

        {'filename': 'a.jpg', 'width': 1280, 'height': 720,
         'ann': {'bboxes': (n, 4), 'labels': (n,), 'bboxes_ignore': (k, 4), 'labels_ignore': (k,)}}

    The last two of ``ann`` may be left out.

    Args:
        ann_file: annotation file.
        pipeline: configs of the steps that load an image.
        classes: names, a file with a name on each line, or None for the ``CLASSES`` of the data set's class.
        data_root: what ``ann_file``, ``img_prefix``, ``seg_prefix`` and ``proposal_file`` are relative to.
        img_prefix: folder of the images.
        seg_prefix: folder of the segmentation maps.
        seg_suffix: ending of their file names.
        proposal_file: proposals made beforehand: a list with an array (n, 4 or 5) for each image.
        test_mode: all images, without their annotations; else those that can be trained on.
        filter_empty_gt: leave out images without objects in training, where the data set supports it.
        file_client_args: arguments of ``mmcv.FileClient``.
        skip_broken: an image that cannot be read is logged and counted (``num_broken``); in training another one takes
            its place, in test mode, where all are read at the start, it is left out. Else it is an error that names it.
        name: what logs, figures and ``img_metas`` call the data set where it is mixed with others.
        source_classes: the names of the annotations that are used, where they are not ``classes``; in a format whose
            labels are numbers, the names that 0, 1, ... stand for. None: the names are those of ``classes``.
        rename: name in the annotations -> one of ``classes``, or None for a category that is not used.
        share_annotations: hold the entries of the images in shared memory, once for all processes of a run on this
            machine and for their loading processes. Each access then gives a copy: what is changed in it is lost.
        directives: training directives of all images, key -> value, such as ``{'rpn_head.loss_weight': 0.5}``; a step
            ``AddDirectives`` at the end of the pipeline. They count more than those that steps of ``pipeline`` give.
        from_img_info: names of directives that are read from the image's own entry, or name -> key of the entry; images
            whose entry lacks one have that of ``directives``.
        cache_images: keep images in memory that the loading processes of this process share: ``'8GB'``, or
            ``dict(size='8GB', kind='encoded')``; see :func:`~mmdet.datasets.memory.image_cache.cache_images`.

    Attributes:
        data_infos: one entry for each image.
        flag: (n,) uint8, 1 for an image that is wider than high; training only.
        filtered: why images were left out -> how many.
        num_unfiltered: images before that.

    Raises:
        FileNotFoundError: there is no such annotation file.
        OSError: no room for annotations that are to be shared.
        ValueError: as many proposals as images are needed, ``classes`` is not understood, or there is a ``rename`` but
            the names of the annotations are not known.
    """

    CLASSES: Sequence[str] | None = None
    PALETTE: Sequence[tuple[int, int, int]] | None = None
    BOXES_ARE_FRACTIONS = False  # of the image's width and height, not px
    # for subclasses with a constructor of their own
    _broken: BrokenImages | None = None
    name: str | None = None
    source_classes: Sequence[str] | None = None
    rename: Rename | None = None
    missing_classes: tuple[str, ...] = ()  # classes that only other data sets of a mixture have

    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence[dict | Callable],
        classes: str | Sequence[str] | None = None,
        data_root: str | None = None,
        img_prefix: str | None = '',
        seg_prefix: str | None = None,
        seg_suffix: str = '.png',
        proposal_file: str | None = None,
        test_mode: bool = False,
        filter_empty_gt: bool = True,
        file_client_args: dict = DISK,
        skip_broken: bool = False,
        name: str | None = None,
        source_classes: Sequence[str] | None = None,
        rename: Rename | None = None,
        share_annotations: bool = False,
        directives: Mapping[str, Any] | None = None,
        from_img_info: Sequence[str] | Mapping[str, str] = (),
        cache_images: str | int | Mapping[str, Any] | None = None,
    ):
        self.ann_file = under(data_root, ann_file)
        self.data_root = data_root
        self.img_prefix = under(data_root, img_prefix)
        self.seg_prefix = under(data_root, seg_prefix)
        self.seg_suffix = seg_suffix
        self.proposal_file = under(data_root, proposal_file)
        self.test_mode = test_mode
        self.filter_empty_gt = filter_empty_gt
        self.file_client = mmcv.FileClient(**dict(file_client_args))
        self.CLASSES = self.get_classes(classes)
        self.name, self.source_classes, self.rename = name, source_classes, rename
        self.filtered: Counter[str] = Counter()

        self._read_entries()
        if not test_mode:
            self._keep_images(self._filter_imgs())
            self._set_group_flag()
        self._broken = BrokenImages(len(self.data_infos)) if skip_broken and not test_mode else None
        self.pipeline = Compose(pipeline)
        if skip_broken and test_mode:
            self._keep_images(readable_images(self))
        if self.CLASSES is not None:
            self.pipeline.bind_classes(self.CLASSES, self._category_labels())
        add_directives(self, directives, from_img_info)
        if cache_images is not None:
            image_cache.cache_images(self, cache_images)
        if share_annotations:
            self._share_annotations()
            return_freed_memory()

    def _read_entries(self) -> None:
        """Read the images' entries, give them the labels of ``CLASSES``, and read the proposals."""
        self.data_infos = self._load_file(self.ann_file, 'ann_file', self.load_annotations)
        if self.source_classes is not None or self.rename:
            self._adopt_classes()
        self.proposals = self._read_proposals()
        self.num_unfiltered = len(self.data_infos)

    def _category_labels(self) -> dict[int, int] | None:
        """Category id of the annotation file -> label; None: the file has labels."""
        return None

    def _adopt_classes(self) -> None:
        """Give the annotations that are loaded the labels of ``CLASSES``."""
        names = (self.source_classes, self.CLASSES, self.rename)
        self.data_infos = relabel_entries(self.data_infos, *names, f'{type(self).__name__}: {self.ann_file}')

    def num_classes_of(self, head: str) -> int | None:
        """How many classes a head must predict, by its name in the model; here all of them. None: not known."""
        return all_classes(self.CLASSES, head)

    def annotated_classes(self) -> list[str] | None:
        """The classes that the annotations know; None: that is not stated, so all are taken to be."""
        return classes_of_source(self.source_classes, self.CLASSES, self.rename)

    def _share_annotations(self) -> None:
        """Move what loading processes read of the annotations into shared memory."""
        self.data_infos = SharedList(self.data_infos)
        if self.proposals is not None:
            self.proposals = SharedList(self.proposals)

    def update_dynamic_scale(self, dynamic_scale: tuple[int, int]) -> None:
        """Let the pipeline's steps that resize give images of (width, height) px from now on.

        Raises:
            ValueError: the pipeline has none.
        """
        set_scale(self.pipeline.transforms, dynamic_scale, type(self).__name__)

    def __len__(self) -> int:
        return len(self.data_infos)

    def _load_file(self, path: str, argument: str, load: Callable[[str], Any]) -> Any:
        """Fetch a file from where it is kept and load it."""
        missing = f'{type(self).__name__}: {argument} {path!r} is not there (data_root={self.data_root!r})'
        return load_fetched(self.file_client, path, load, missing)

    def _read_proposals(self) -> list[np.ndarray] | None:
        if self.proposal_file is None:
            return None
        proposals = self._load_file(self.proposal_file, 'proposal_file', self.load_proposals)
        self._check_count('proposal_file', proposals)
        return proposals

    def _check_count(self, name: str, values: Sequence[Any]) -> None:
        if len(values) != len(self.data_infos):
            raise ValueError(
                f'{type(self).__name__}: {name} has {len(values)} entries for {len(self.data_infos)} images '
                f'of {self.ann_file}'
            )

    def _keep_images(self, indices: Sequence[int]) -> None:
        self.data_infos = [self.data_infos[i] for i in indices]
        if self.test_mode and hasattr(self, 'img_ids'):  # in training the filters of such data sets cut them down
            self.img_ids = [self.img_ids[i] for i in indices]
        if self.proposals is not None:
            self.proposals = [self.proposals[i] for i in indices]

    def load_annotations(self, ann_file: str) -> list[dict]:
        """Read the annotation file: one entry for each image."""
        return read_entries(load_plain(ann_file), self.ann_file)

    def load_proposals(self, proposal_file: str) -> list[np.ndarray]:
        """Read the proposals: one array (n, 4 or 5) for each image."""
        return load_plain(proposal_file)

    def get_ann_info(self, idx: int) -> dict:
        """Annotations of an image: ``bboxes`` (n, 4) xyxy px, ``labels`` (n,), and more in some data sets."""
        return self.data_infos[idx]['ann']

    def get_cat_ids(self, idx: int) -> list[int]:
        """Category id of every annotation of an image; here they are the labels."""
        return np.asarray(self.data_infos[idx]['ann']['labels']).astype(int).tolist()

    def _labels_in_image(self, idx: int) -> set[int]:
        """Labels, in [0, number of classes), that occur in an image."""
        return set(self.get_cat_ids(idx))

    def get_cat2imgs(self) -> dict[int, list[int]]:
        """Label -> numbers of the images that have it, for every class.

        Raises:
            ValueError: the data set has no classes.
        """
        if self.CLASSES is None:
            raise ValueError(f'{type(self).__name__}.get_cat2imgs: CLASSES is None; give the argument classes')
        return labels_to_images(map(self._labels_in_image, range(len(self))), len(self.CLASSES))

    def pre_pipeline(self, results: dict) -> None:
        """Add what the steps of the pipeline expect to an image's entry."""
        results.update(img_prefix=self.img_prefix, seg_prefix=self.seg_prefix, proposal_file=self.proposal_file)
        results.update(bbox_fields=[], mask_fields=[], seg_fields=[])

    def _filter_imgs(self, min_size: int = 32) -> list[int]:
        """Numbers of the images to train on: those whose shorter side has at least ``min_size`` px."""
        if self.filter_empty_gt:
            warnings.warn(
                f'{type(self).__name__} keeps images without objects: filter_empty_gt has no effect here', stacklevel=3
            )
        large = [min(info['width'], info['height']) >= min_size for info in self.data_infos]
        self._count_filtered(f'smaller than {min_size} px', len(large) - sum(large))
        return np.flatnonzero(large).tolist()

    def _count_filtered(self, reason: str, count: int) -> None:
        if count:
            self.filtered[reason] += int(count)

    def _set_group_flag(self) -> None:
        """Set ``flag``: 1 for images wider than high, 0 for the others."""
        sizes = np.asarray([(info['width'], info['height']) for info in self.data_infos]).reshape(-1, 2)
        self.flag = (sizes[:, 0] > sizes[:, 1]).astype(np.uint8)

    def _rand_another(self, idx: int) -> int:
        """A random image of the same aspect group."""
        return int(np.random.choice(np.flatnonzero(self.flag == self.flag[idx])))

    def __getitem__(self, idx: int) -> Any:
        """The image as the pipeline gives it.

        In training another image of the same aspect group is taken where the pipeline gives None or, with
        ``skip_broken``, where the file cannot be read.

        Raises:
            BrokenImageError: the image file cannot be read.
            RuntimeError: no image can be used.
        """
        if self.test_mode:
            return naming_broken_file(self, self.prepare_test_img, idx)
        return first_usable(self, idx, self._broken)

    @property
    def num_broken(self) -> int:
        """How many images could not be read so far, in all loading processes; stays 0 without ``skip_broken``."""
        return self.filtered[BROKEN] + (0 if self._broken is None else len(self._broken))

    def prepare_train_img(self, idx: int) -> Any:
        """Run the pipeline on an image with its annotations; None where it leaves nothing to train on."""
        return self.pipeline(self._entry(idx, ann_info=self._train_ann_info(idx)))

    def _train_ann_info(self, idx: int) -> dict:
        """Annotations without boxes that have no area or lie outside the image, which would give infinite losses."""
        info = self.data_infos[idx]
        return drop_unusable(self.get_ann_info(idx), (info['width'], info['height']))

    def prepare_test_img(self, idx: int) -> Any:
        """Run the pipeline on an image without its annotations."""
        return self.pipeline(self._entry(idx))

    def _entry(self, idx: int, **extra) -> dict:
        results = dict(img_info=self.data_infos[idx], **extra)
        if self.proposals is not None:
            results['proposals'] = self.proposals[idx]
        self.pre_pipeline(results)
        return results

    @classmethod
    def get_classes(cls, classes: str | Sequence[str] | None = None) -> Sequence[str] | None:
        """Class names from the argument ``classes``.

        Args:
            classes: None for the class's own; the path of a file with a name on each line; or the names.

        Raises:
            ValueError: anything else.
        """
        return cls.CLASSES if classes is None else read_class_names(classes)

    def format_results(self, results: Sequence[Any], **kwargs) -> Any:
        """Write results in a form for submission; what that is, only the data sets of a benchmark know."""

    def evaluate(
        self,
        results: Sequence[Any],
        metric: str | Sequence[str] = 'mAP',
        logger=None,
        proposal_nums: Sequence[int] = (100, 300, 1000),
        iou_thr: float | Sequence[float] = 0.5,
        scale_ranges: Sequence[tuple[float, float]] | None = None,
        classwise: bool = False,
    ) -> dict[str, float]:
        """Evaluate detections with mAP, or proposals with recall.

        Args:
            results: for each image, detections of each class (n, 5), or for recall proposals (n, 4 or 5).
            metric: ``'mAP'`` or ``'recall'``.
            logger: a logger, None (print) or ``'silent'``.
            proposal_nums: numbers of proposals that recall is given for.
            iou_thr: one or several thresholds.
            scale_ranges: ranges of size, in px, that mAP is given for.
            classwise: also AP of each class that has objects: ``AP50/cat``, ...

        Returns:
            ``AP50`` ... and ``mAP``, or ``recall@100@0.5`` ... and, for several thresholds, ``AR@100`` ...

        Raises:
            KeyError: another metric.
            ValueError: not one result for each image.
        """
        metric = only_metric(metric, ('mAP', 'recall'), type(self).__name__)
        self._check_count('results', results)
        annotations = [self.get_ann_info(i) for i in range(len(self))]
        iou_thrs = np.atleast_1d(iou_thr).tolist()
        names, options = self._rules_of_map()
        if metric == 'recall':
            return recall_metrics(annotations, results, proposal_nums, iou_thrs, logger, **options)
        shown = self.CLASSES if classwise else None
        return map_metrics(annotations, results, iou_thrs, scale_ranges, names, logger, shown, **options)

    def _rules_of_map(self) -> tuple[str | Sequence[str] | None, dict[str, Any]]:
        """Names that choose how precision is averaged, and further options of the metrics; for subclasses."""
        return self.CLASSES, {}

    def __repr__(self) -> str:
        """Number of images, and of instances of each class."""
        kind = 'Test' if self.test_mode else 'Train'
        title = f'{type(self).__name__} {kind} dataset with number of images {len(self)}'
        if self.CLASSES is None:
            return title
        labels = (self.get_ann_info(i)['labels'] for i in range(len(self)))
        return f'\n{title}, and instance counts:\n{instance_table(self.CLASSES, labels)}'
