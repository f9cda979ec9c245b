"""Logs a training to Weights & Biases: losses and metrics, checkpoints, and pictures of detections."""

import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import mmcv
import numpy as np
from mmcv import Config
from mmcv.runner import HOOKS, BaseRunner, EvalHook
from mmcv.runner.dist_utils import master_only
from mmcv.runner.hooks.checkpoint import CheckpointHook
from mmcv.runner.hooks.logger.wandb import WandbLoggerHook
from pycocotools import mask as mask_coding

from mmdet.core.mask.conversion import polygon_to_bitmap
from mmdet.core.visualization.instances import from_result, keep_confident
from mmdet.core.visualization.reading import read_image

CHOICE_SEED = 42  # the same images are shown by every run on a data set


def pixel_boxes(
    bboxes: np.ndarray, labels: np.ndarray, class_names: Mapping[int, str], with_scores: bool
) -> list[dict[str, Any]]:
    """Boxes as ``wandb.Image`` takes them.

    Args:
        bboxes: (n, 4) xyxy px, or (n, 5) with scores.
        labels: (n,); 0 is the first class, whose number in ``class_names`` is 1.
        class_names: number -> name.
        with_scores: add the score to the caption.
    """
    data = []
    for box, label in zip(bboxes.tolist(), labels.tolist()):
        name = class_names[label + 1]
        entry = dict(
            position=dict(minX=int(box[0]), minY=int(box[1]), maxX=int(box[2]), maxY=int(box[3])),
            class_id=label + 1,
            box_caption=f'{name} {box[4]:.2f}' if with_scores else name,
            domain='pixel',
        )
        data.append(dict(entry, scores=dict(score=box[4])) if with_scores else entry)
    return data


def class_masks(masks: Sequence[np.ndarray], labels: Sequence[int]) -> dict[int, np.ndarray]:
    """Union of the masks (h, w) of each class: number of the class, from 1 -> (h, w) uint8, that number or 0."""
    unions: dict[int, np.ndarray] = {}
    for mask, label in zip(masks, labels):
        number = int(label) + 1
        union = unions.setdefault(number, np.zeros(mask.shape, dtype=np.uint8))
        union[np.asarray(mask, dtype=bool)] = number
    return unions


def to_bitmap(segmentation: Any, height: int, width: int) -> np.ndarray:
    """A mask of an annotation file, polygons or run lengths, as (height, width) bool."""
    if isinstance(segmentation, list):
        return polygon_to_bitmap(segmentation, height, width)
    if isinstance(segmentation['counts'], list):
        segmentation = mask_coding.frPyObjects(segmentation, height, width)
    return mask_coding.decode(segmentation).astype(bool)


@HOOKS.register_module()
class MMDetWandbHook(WandbLoggerHook):
    """Logs losses, metrics and, if asked for, checkpoints and pictures of detections.

    It stands among ``log_config.hooks``. Pictures and the metrics of checkpoints need an evaluation hook, checkpoints a
    ``CheckpointHook``; what lacks its hook is switched off with a warning.

    Args:
        init_kwargs: arguments of ``wandb.init``.
        interval: log after so many iterations.
        log_checkpoint: upload each checkpoint.
        log_checkpoint_metadata: with its metrics; the interval of checkpoints must be a multiple of the evaluation's.
        num_eval_images: show the detections on so many validation images after each evaluation; 0: none.
        bbox_score_thr: show detections that score more.
        **kwargs: of mmcv's ``WandbLoggerHook``.

    Raises:
        ImportError: wandb is not installed.
    """

    def __init__(
        self,
        init_kwargs: dict | None = None,
        interval: int = 50,
        log_checkpoint: bool = False,
        log_checkpoint_metadata: bool = False,
        num_eval_images: int = 100,
        bbox_score_thr: float = 0.3,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_kwargs, interval, **kwargs)
        self.log_checkpoint = log_checkpoint
        self.log_checkpoint_metadata = log_checkpoint and log_checkpoint_metadata
        self.num_eval_images = num_eval_images
        self.bbox_score_thr = bbox_score_thr
        self.log_evaluation = num_eval_images > 0
        self.ckpt_hook: CheckpointHook | None = None
        self.eval_hook: EvalHook | None = None
        self._shown_results: Any = None
        self._sent_checkpoint: str | None = None

    def import_wandb(self) -> None:
        """Import the package.

        Raises:
            ImportError: it is not there; says what to run.
        """
        try:
            import wandb
        except ImportError as error:
            raise ImportError(f'MMDetWandbHook needs wandb: run `pip install wandb` ({error})') from error
        self.wandb = wandb

    @master_only
    def before_run(self, runner: BaseRunner) -> None:
        """Start the run at wandb, with the config, and upload the images that will be shown."""
        super().before_run(runner)
        self._update_wandb_config(runner)
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                self.ckpt_hook = hook
            elif isinstance(hook, EvalHook):
                self.eval_hook = hook
        self._switch_off_what_lacks_its_hook(runner)
        if self.log_evaluation:
            self.val_dataset = self.eval_hook.dataloader.dataset
            self.class_id_to_label = dict(enumerate(self.val_dataset.CLASSES, 1))
            self.class_set = self.wandb.Classes([dict(id=i, name=name) for i, name in self.class_id_to_label.items()])
            self._init_data_table()
            self._add_ground_truth(runner)
            self._log_data_table()

    def _switch_off_what_lacks_its_hook(self, runner: BaseRunner) -> None:
        warn = runner.logger.warning
        if self.log_checkpoint and self.ckpt_hook is None:
            warn('MMDetWandbHook: there is no checkpoint hook, so no checkpoint is uploaded')
            self.log_checkpoint = self.log_checkpoint_metadata = False
        if self.log_evaluation and self.eval_hook is None:
            warn('MMDetWandbHook: there is no evaluation, so no detections are shown')
            self.log_evaluation = False
        if self.log_checkpoint_metadata and (
            self.eval_hook is None or self.ckpt_hook.interval % self.eval_hook.interval
        ):
            warn(
                'MMDetWandbHook: metrics of checkpoints need an evaluation whose interval divides that of the '
                'checkpoints; they are uploaded without'
            )
            self.log_checkpoint_metadata = False

    @master_only
    def after_train_epoch(self, runner: BaseRunner) -> None:
        """Log, then upload what the epoch has brought."""
        super().after_train_epoch(runner)
        if self.by_epoch:
            self._upload(runner, 'epoch', runner.epoch + 1, self.every_n_epochs, self.is_last_epoch(runner))

    @master_only
    def after_train_iter(self, runner: BaseRunner) -> None:
        """Log, then upload what the iteration has brought."""
        super().after_train_iter(runner)
        self._after_train_iter(runner)

    @master_only
    def _after_train_iter(self, runner: BaseRunner) -> None:
        if self.by_epoch:
            return
        # the evaluation calls the loggers before it starts, and its results are not there then
        hook = self.eval_hook
        awaited = hook is not None and not hook.by_epoch and hook._should_evaluate(runner)
        if not awaited or self._new_results() is not None:
            self._upload(runner, 'iter', runner.iter + 1, self.every_n_iters, self.is_last_iter(runner))

    def _new_results(self) -> Any:
        """Results of an evaluation that were not shown yet; None: there are none."""
        results = getattr(self.eval_hook, 'latest_results', None)
        return None if results is self._shown_results else results

    def _upload(self, runner: BaseRunner, unit: str, number: int, every: Any, last: bool) -> None:
        """Upload the checkpoint of an epoch or iteration, and new detections."""
        results = self._new_results()
        if self.log_checkpoint and (every(runner, self.ckpt_hook.interval) or (last and self.ckpt_hook.save_last)):
            path = osp.join(self.ckpt_hook.out_dir or runner.work_dir, f'{unit}_{number}.pth')
            if path != self._sent_checkpoint:
                self._sent_checkpoint = path
                figures = self._get_eval_results() if self.log_checkpoint_metadata and results is not None else {}
                self._log_ckpt_as_artifact(path, [f'{unit}_{number}', 'latest'], {unit: number, **figures})
        if results is not None:
            self._shown_results = results
            if self.log_evaluation:
                self._init_pred_table()
                self._log_predictions(results)
                self._log_eval_table(number)

    @master_only
    def after_run(self, runner: BaseRunner) -> None:
        """End the run at wandb."""
        self.wandb.finish()

    def _update_wandb_config(self, runner: BaseRunner) -> None:
        """Send the config, as the work folder has it."""
        path = osp.join(runner.work_dir, (runner.meta or {}).get('exp_name') or '')
        if osp.isfile(path):
            self.wandb.config.update(Config.fromfile(path)._cfg_dict.to_dict())
        else:
            runner.logger.warning(f'MMDetWandbHook: there is no config in {runner.work_dir} to send')

    def _log_ckpt_as_artifact(
        self, model_path: str, aliases: Sequence[str], metadata: dict[str, Any] | None = None
    ) -> None:
        artifact = self.wandb.Artifact(f'run_{self.wandb.run.id}_model', type='model', metadata=metadata)
        artifact.add_file(model_path)
        self.wandb.log_artifact(artifact, aliases=list(aliases))

    def _get_eval_results(self) -> dict[str, Any]:
        """Metrics of the latest results."""
        hook = self.eval_hook
        return dict(hook.dataloader.dataset.evaluate(hook.latest_results, logger='silent', **hook.eval_kwargs))

    def _init_data_table(self) -> None:
        """A table for images with their objects."""
        self.data_table = self.wandb.Table(columns=['image_name', 'image'])

    def _init_pred_table(self) -> None:
        """A table for objects beside detections."""
        self.eval_table = self.wandb.Table(columns=['image_name', 'ground_truth', 'prediction'])

    def _add_ground_truth(self, runner: BaseRunner) -> None:
        """Choose images and put them, with their objects, into the table."""
        count = min(self.num_eval_images, len(self.val_dataset))
        if count < self.num_eval_images:
            runner.logger.info(f'MMDetWandbHook: all {count} validation images are shown')
        order = np.random.default_rng(CHOICE_SEED).permutation(len(self.val_dataset))
        self.eval_image_indexs = np.sort(order[:count])
        for index in self.eval_image_indexs.tolist():
            info, annotation = self.val_dataset.data_infos[index], self.val_dataset.get_ann_info(index)
            path = osp.join(self.val_dataset.img_prefix or '', info['filename'])
            image = mmcv.bgr2rgb(read_image(path, self.val_dataset.pipeline))
            labels = np.asarray(annotation['labels'])
            boxes = self._get_wandb_bboxes(np.asarray(annotation['bboxes']).reshape(-1, 4), labels)
            masks = None
            if annotation.get('masks') and all(annotation['masks']):
                masks = self._get_wandb_masks(annotation['masks'], labels, True, *image.shape[:2])
            picture = self.wandb.Image(image, boxes=boxes, masks=masks, classes=self.class_set)
            self.data_table.add_data(info['filename'], picture)

    def _log_predictions(self, results: list) -> None:
        """Put detections into the table, beside the images that are at wandb already."""
        for row, index in enumerate(self.eval_image_indexs.tolist()):
            found = keep_confident(from_result(results[index], len(self.class_id_to_label)), self.bbox_score_thr)
            boxes = masks = None
            if found.bboxes is not None and found.scores is not None:
                boxes = self._get_wandb_bboxes(
                    np.concatenate([found.bboxes, found.scores[:, None]], 1), found.labels, log_gt=False
                )
            if found.masks is not None:
                masks = self._get_wandb_masks(found.masks, found.labels)
            name, image = self.data_table_ref.data[row][:2]
            picture = self.wandb.Image(image, boxes=boxes, masks=masks, classes=self.class_set)
            self.eval_table.add_data(name, image, picture)

    def _get_wandb_bboxes(self, bboxes: np.ndarray, labels: np.ndarray, log_gt: bool = True) -> dict[str, Any]:
        """Boxes (n, 4), or of detections (n, 5), in the form of wandb."""
        data = pixel_boxes(bboxes, labels, self.class_id_to_label, with_scores=not log_gt)
        return {'ground_truth' if log_gt else 'predictions': dict(box_data=data, class_labels=self.class_id_to_label)}

    def _get_wandb_masks(
        self,
        masks: Sequence[Any],
        labels: np.ndarray,
        is_poly_mask: bool = False,
        height: int | None = None,
        width: int | None = None,
    ) -> dict[str, Any]:
        """Masks in the form of wandb, one for each class; those of annotation files need height and width."""
        if is_poly_mask:
            masks = [to_bitmap(mask, height, width) for mask in masks]
        return {
            self.class_id_to_label[number]: dict(mask_data=union, class_labels=self.class_id_to_label)
            for number, union in class_masks(masks, labels).items()
        }

    def _log_data_table(self) -> None:
        """Upload the images; later tables refer to them."""
        artifact = self.wandb.Artifact('val', type='dataset')
        artifact.add(self.data_table, 'val_data')
        self.wandb.run.use_artifact(artifact)
        artifact.wait()
        self.data_table_ref = artifact.get('val_data')

    def _log_eval_table(self, idx: int) -> None:
        """Upload the detections of epoch or iteration ``idx``."""
        artifact = self.wandb.Artifact(f'run_{self.wandb.run.id}_pred', type='evaluation')
        artifact.add(self.eval_table, 'eval_data')
        unit = 'epoch' if self.by_epoch else 'iter'
        self.wandb.run.log_artifact(artifact, aliases=['latest', f'{unit}_{idx}'])
