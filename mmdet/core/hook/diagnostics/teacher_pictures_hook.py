"""Pictures of what a teacher adds to the labels of training images."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.parallel import DataContainer
from mmcv.runner import HOOKS, BaseRunner, Hook
from torch import Tensor, nn

from mmdet.core.hook.diagnostics.tensorboard_writer import tensorboard_writer
from mmdet.core.visualization.completed_labels import completed_picture, shown
from mmdet.utils.checkpoints.checkpoint import unwrap_model


@HOOKS.register_module()
class TeacherPicturesHook(Hook):
    """Writes images of the batch with their annotated boxes, pseudo objects and ignored detections, as PNG files, and
    into TensorBoard where the run has it.

    For models with a teacher (``model.teacher``), whose student's view is shown. The first process writes the first
    images of its batch that ask for completion; between the pictures the hook costs nothing.

    Args:
        interval: iterations between pictures.
        num_images: of the batch that are shown, at most.
        out_dir: folder; None: ``teacher`` in the work dir. Files are ``iter_{iteration}_{image}.png``.

    Raises:
        ValueError: (at the start of a run) the model has no teacher.
    """

    def __init__(self, interval: int = 500, num_images: int = 4, out_dir: str | None = None) -> None:
        self.interval = interval
        self.num_images = num_images
        self.out_dir = out_dir
        self._handle: Any = None

    def before_run(self, runner: BaseRunner) -> None:
        """Look for the teacher."""
        if not getattr(getattr(unwrap_model(runner.model), 'teacher', None), 'completes_labels', False):
            raise ValueError('TeacherPicturesHook: the model has no teacher (model.teacher, docs/teacher.md)')

    def before_train_iter(self, runner: BaseRunner) -> None:
        """Listen to what the student is trained on, if this iteration is to be shown."""
        if runner.rank == 0 and self.every_n_iters(runner, self.interval):
            self._completed: dict[str, Any] = {}
            self._handle = unwrap_model(runner.model).register_forward_pre_hook(self._keep, with_kwargs=True)

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Write the pictures."""
        if self._handle is None:
            return
        self.after_run(runner)
        folder = Path(self.out_dir or Path(runner.work_dir) / 'teacher')
        folder.mkdir(parents=True, exist_ok=True)
        writer, data = tensorboard_writer(runner), self._completed
        asking = [i for i, meta in enumerate(data['img_metas']) if 'pseudo_labels' in meta]
        for number, i in enumerate(asking[: self.num_images]):
            image = shown(_array(data['img'][i]), data['img_metas'][i].get('img_norm_cfg'))
            picture = completed_picture(image, self._kinds(data, _lists(runner.data_batch), i))
            cv2.imwrite(str(folder / f'iter_{runner.iter + 1:06d}_{number}.png'), picture)
            if writer is not None:
                writer.add_image(f'teacher/{number}', picture[..., ::-1].copy(), runner.iter + 1, dataformats='HWC')

    def after_run(self, runner: BaseRunner) -> None:
        """Stop listening."""
        if self._handle is not None:
            self._handle.remove()
        self._handle = None

    def _keep(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        self._completed = self._completed or kwargs

    def _kinds(self, completed: dict[str, Any], annotated: dict[str, list], i: int) -> dict[str, np.ndarray]:
        """Boxes of image ``i`` by kind; those that were not in the batch are the teacher's, which come last."""
        boxes, count = _array(completed['gt_bboxes'][i]), len(annotated['gt_bboxes'][i])
        weights = completed.get('gt_weights')
        counts = np.ones(len(boxes), bool) if weights is None else _array(weights[i]).reshape(len(boxes), -1)[:, 0] > 0
        added, ignored = np.arange(len(boxes)) >= count, []
        if completed.get('gt_bboxes_ignore') is not None:
            known = annotated.get('gt_bboxes_ignore')
            ignored = _array(completed['gt_bboxes_ignore'][i])[0 if known is None else len(known[i]) :]
        return dict(
            annotated=boxes[:count],
            pseudo=boxes[added & counts],
            ignored=np.concatenate([boxes[added & ~counts], np.reshape(ignored, (-1, 4))]),
        )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def _lists(batch: dict[str, Any]) -> dict[str, list]:
    """What a loader gave, of the first device."""
    return {
        key: value.data[0] if isinstance(value, DataContainer) else value
        for key, value in batch.items()
        if key in ('gt_bboxes', 'gt_bboxes_ignore')
    }
