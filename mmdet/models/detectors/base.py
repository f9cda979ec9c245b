"""What all detectors share: training and test steps, their dispatch, and pictures of results."""

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmcv.runner import BaseModule
from torch import Tensor

from mmdet.core.directives import with_object_weights
from mmdet.core.img_meta import ImgMeta
from mmdet.core.visualization.image import imshow_det_bboxes
from mmdet.core.visualization.reading import pipeline_of, read_image
from mmdet.models.builder import build_backbone, build_neck
from mmdet.models.detectors.loss_log import parse_losses
from mmdet.models.options.static_shapes import use_static_shapes
from mmdet.models.utils.directive_report import check_directives_were_read
from mmdet.models.utils.export import refuse_export
from mmdet.utils.logger import get_root_logger


def stack_results(result: list | tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """One image's detections, which are listed by class, as arrays.

    Args:
        result: K arrays (n, 5) of boxes with scores; or a tuple of these and K lists of masks (h, w) (or None), or of
            these and (masks, mask scores). A third part of the tuple, the keypoints, is passed over.

    Returns:
        boxes with scores (n, 5), labels (n,), masks (n, h, w) or None.
    """
    bboxes, masks = result[:2] if isinstance(result, tuple) else (result, None)
    if isinstance(masks, tuple):
        masks = masks[0]
    labels = np.repeat(np.arange(len(bboxes)), [len(b) for b in bboxes])
    masks = [mask for of_class in masks or () for mask in of_class]
    if masks and isinstance(masks[0], Tensor):
        masks = [mask.detach().cpu().numpy() for mask in masks]
    return np.concatenate(bboxes), labels, np.stack(masks) if masks else None


def stage_configs(train_cfg: dict | None, test_cfg: dict | None, stage: str) -> dict[str, dict | None]:
    """The sections of one stage, as keyword arguments of its head; None where there is no config or no section."""
    both = dict(train_cfg=train_cfg, test_cfg=test_cfg)
    return {name: None if cfg is None else cfg.get(stage) for name, cfg in both.items()}


class BaseDetector(BaseModule, metaclass=ABCMeta):
    """Base of all detectors.

    Args:
        init_cfg: initialisation of the weights, as mmcv's ``BaseModule`` takes it.
    """

    CLASSES: Sequence[str] | None = None  # names of the classes; set where the data set is known
    log_on_device = False  # whether train_step leaves the numbers of the log on the device
    _directives_checked = False  # whether a step has shown that its heads read what its images say
    source_log: Any = None  # a ``SourceLog`` in trainings that log each loss by source

    def __init__(self, init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)

    def _dump_init_info(self, logger_name: str) -> None:
        """mmcv calls this when the weights are initialised; how each of them was is for the debug log."""
        logger = get_root_logger()
        for name, param in self.named_parameters():
            logger.debug(f'{name} {tuple(param.shape)}: {self._params_init_info[param]["init_info"].strip()}')

    def _build_trunk(self, backbone: dict, neck: dict | None, pretrained: str | None) -> None:
        """Build backbone and neck; ``pretrained`` is the old way to say the backbone's ``init_cfg``."""
        if pretrained:
            warnings.warn(
                "pretrained is deprecated; use init_cfg=dict(type='Pretrained', checkpoint=...) of the backbone",
                UserWarning,
                stacklevel=3,
            )
            backbone = {**backbone, 'pretrained': pretrained}
        self.backbone = build_backbone(backbone)
        if neck is not None:
            self.neck = build_neck(neck)

    def _run_trunk(self, img: Tensor) -> Sequence[Tensor]:
        """Images (N, 3, H, W) -> feature maps of the backbone, and of the neck if there is one."""
        feats = self.backbone(img)
        return self.neck(feats) if self.with_neck else feats

    @property
    def with_neck(self) -> bool:
        """Whether there is a neck."""
        return getattr(self, 'neck', None) is not None

    @property
    def with_shared_head(self) -> bool:
        """Whether the RoI head has a part that its branches share."""
        return getattr(getattr(self, 'roi_head', None), 'with_shared_head', False)

    @property
    def with_bbox(self) -> bool:
        """Whether there is a box head, the detector's own or the RoI head's."""
        own = getattr(self, 'bbox_head', None) is not None
        return own or getattr(getattr(self, 'roi_head', None), 'with_bbox', False)

    @property
    def with_mask(self) -> bool:
        """Whether there is a mask head, the detector's own or the RoI head's."""
        own = getattr(self, 'mask_head', None) is not None
        return own or getattr(getattr(self, 'roi_head', None), 'with_mask', False)

    def use_static_shapes(self) -> None:
        """Train in static shapes from now on; see :mod:`mmdet.models.options.static_shapes`.

        Raises:
            ValueError: a part of the detector cannot.
        """
        use_static_shapes(self)

    @abstractmethod
    def extract_feat(self, imgs: Tensor) -> Sequence[Tensor]:
        """Images (N, 3, H, W) -> L feature maps (N, C, H, W)."""

    def extract_feats(self, imgs: list[Tensor]) -> list[Sequence[Tensor]]:
        """:meth:`extract_feat` of each augmented version of a batch.

        Raises:
            TypeError: ``imgs`` is no list.
        """
        if not isinstance(imgs, list):
            raise TypeError(f'imgs: expected a list with the versions of a batch, got {type(imgs).__name__}')
        return [self.extract_feat(img) for img in imgs]

    def forward_train(self, imgs: Tensor, img_metas: list[ImgMeta], **kwargs: Any) -> dict | None:
        """Losses of a batch; a subclass computes them and may call this one first.

        This one only notes the size of the padded batch in ``img_metas``, for heads that need it.

        Args:
            imgs: (N, 3, H, W), normalised.
            img_metas: meta information of the N images.
            kwargs: ground truth.
        """
        self._note_batch_shape(imgs, img_metas)
        return None

    @staticmethod
    def _note_batch_shape(imgs: Tensor, img_metas: list[ImgMeta]) -> None:
        for img_meta in img_metas:
            img_meta['batch_input_shape'] = (imgs.size(-2), imgs.size(-1))

    @abstractmethod
    def simple_test(self, img: Tensor, img_metas: list[ImgMeta], **kwargs: Any) -> list:
        """Results of each image, without augmentation."""

    @abstractmethod
    def aug_test(self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], **kwargs: Any) -> list:
        """Results of a single image, merged over its augmented versions."""

    async def async_simple_test(self, img: Tensor, img_metas: list[ImgMeta], **kwargs: Any) -> list:
        """As :meth:`simple_test`, for callers that await; it runs in the caller's thread."""
        return self.simple_test(img, img_metas, **kwargs)

    async def aforward_test(self, *, img: list[Tensor], img_metas: list[list[ImgMeta]], **kwargs: Any) -> list:
        """As :meth:`forward_test`, for callers that await; one version of a batch only.

        Raises:
            NotImplementedError: there are several augmented versions.
        """
        self._check_versions(img, img_metas)
        if len(img) > 1:
            raise NotImplementedError(f'no asynchronous test of {len(img)} augmented versions: use forward_test')
        return await self.async_simple_test(img[0], img_metas[0], **kwargs)

    @staticmethod
    def _check_versions(imgs: list[Tensor], img_metas: list[list[ImgMeta]]) -> None:
        for name, value in (('imgs', imgs), ('img_metas', img_metas)):
            if not isinstance(value, list):
                raise TypeError(
                    f'{name}: a test wants a list with one entry for each augmented version (one without '
                    f'augmentation), got {type(value).__name__}'
                )
        if len(imgs) != len(img_metas):
            raise ValueError(f'{len(imgs)} versions of the images, but {len(img_metas)} of img_metas')

    def forward_test(self, imgs: list[Tensor], img_metas: list[list[ImgMeta]], **kwargs: Any) -> list:
        """Results of a batch.

        Args:
            imgs: (N, 3, H, W) for each augmented version; one version for a test without augmentation.
            img_metas: for each version the meta information of the N images.
            kwargs: ``rescale``; ``proposals``, for each version N times (n, 4 or 5).

        Raises:
            TypeError: ``imgs`` or ``img_metas`` is no list.
            ValueError: the lists differ in length, or several versions come with N > 1 or with proposals.
        """
        self._check_versions(imgs, img_metas)
        for img, metas in zip(imgs, img_metas):
            self._note_batch_shape(img, metas)
        if len(imgs) == 1:
            if kwargs.get('proposals') is not None:
                kwargs['proposals'] = kwargs['proposals'][0]
            return self.simple_test(imgs[0], img_metas[0], **kwargs)
        if len(imgs[0]) != 1:
            raise ValueError(f'an augmented test takes one image at a time, got a batch of {len(imgs[0])}')
        if 'proposals' in kwargs:
            raise ValueError('an augmented test cannot take proposals: they are made from each version')
        return self.aug_test(imgs, img_metas, **kwargs)

    def forward(self, img: Any, img_metas: list, return_loss: bool = True, **kwargs: Any) -> dict | list | None:
        """Losses (``return_loss=True``, see :meth:`forward_train`) or results (see :meth:`forward_test`).

        ``gt_weights``, N times (G,) or (G, 2), are loss weights of the objects; see
        :func:`mmdet.core.directives.with_object_weights`.
        """
        if return_loss:
            gt_weights = kwargs.pop('gt_weights', None)
            if gt_weights is not None:  # heads read them where they read what their images say
                img_metas = with_object_weights(img_metas, gt_weights, kwargs.get('gt_bboxes'))
            return self.forward_train(img, img_metas, **kwargs)
        teacher = self._label_teacher()
        if teacher is not None and teacher.evaluates:
            return teacher.model.forward_test(img, img_metas, **kwargs)
        return self.forward_test(img, img_metas, **kwargs)

    def _parse_losses(
        self, losses: Mapping[str, Any], also: tuple[list[str], Tensor] | None = None
    ) -> tuple[Tensor, dict[str, float | Tensor]]:
        """Total loss and numbers for the log; see ``loss_log.parse_losses``."""
        return parse_losses(losses, also, self.log_on_device)

    def train_step(self, data: dict, optimizer: torch.optim.Optimizer | dict | None) -> dict:
        """One training iteration up to the loss; backward and the update are a hook's.

        Args:
            data: a batch: ``img``, ``img_metas`` and ground truth.
            optimizer: not used.

        Returns:
            ``loss`` (scalar on the graph), ``log_vars`` (name to float, or to a tensor without dimensions with
            ``log_on_device``), ``num_samples`` (images).
        """
        img_metas, teacher, of_teacher = data['img_metas'], self._label_teacher(), None
        if teacher is not None and self.training:
            data, of_teacher = teacher.complete(self, data)
        if self.source_log is None or not self.training:
            loss, log_vars = self._parse_losses(self(**data), of_teacher)
        else:
            with self.source_log.recording(img_metas):
                losses = self(**data)
            also = self.source_log.entries(losses)
            if of_teacher is not None:
                also = (also[0] + of_teacher[0], torch.cat([also[1], of_teacher[1].to(also[1])]))
            loss, log_vars = self._parse_losses(losses, also)
            self.source_log.leave_out_undivided(log_vars)
        if self.training and not self._directives_checked:
            self._directives_checked = check_directives_were_read(self, img_metas)
        return dict(loss=loss, log_vars=log_vars, num_samples=len(img_metas))

    def val_step(self, data: dict, optimizer: torch.optim.Optimizer | dict | None = None) -> dict:
        """As :meth:`train_step`; the names of ``log_vars`` end in ``_val``, as both kinds share one log."""
        outputs = self.train_step(data, optimizer)
        outputs['log_vars'] = {f'{name}_val': value for name, value in outputs['log_vars'].items()}
        return outputs

    def _label_teacher(self) -> Any:
        """The :class:`~mmdet.models.teacher.Teacher` of ``model.teacher``; None: there is none.

        Detectors of users may have a ``teacher`` of another kind.
        """
        teacher = getattr(self, 'teacher', None)
        return teacher if getattr(teacher, 'completes_labels', False) else None

    def read_image(self, img: str | np.ndarray) -> np.ndarray:
        """An image to draw on, (h, w, 3) BGR uint8, read as the test pipeline of the model's config would."""
        return read_image(img, pipeline_of(getattr(self, 'cfg', None)))

    def show_result(
        self,
        img: str | np.ndarray,
        result: list | tuple,
        score_thr: float = 0.3,
        bbox_color: Any = (72, 101, 241),
        text_color: Any = (72, 101, 241),
        mask_color: Any = None,
        thickness: int = 2,
        font_size: int = 13,
        win_name: str = '',
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
    ) -> np.ndarray | None:
        """Draw one image's detections.

        Args:
            img: path, or BGR array (h, w, 3).
            result: as :func:`stack_results` takes it.
            score_thr: boxes with a lower score are left out.
            bbox_color: BGR tuple, colour name, or a palette's name.
            text_color: as ``bbox_color``.
            mask_color: as ``bbox_color``; None: random.
            thickness: of the lines, pixels.
            font_size: of the labels.
            win_name: title of the window.
            show: open a window; not together with ``out_file``.
            wait_time: seconds that the window stays; 0: until a key is pressed.
            out_file: where to write the picture.

        Returns:
            the picture as BGR array, if it is neither shown nor written.
        """
        bboxes, labels, masks = stack_results(result)
        show = show and out_file is None
        picture = imshow_det_bboxes(
            self.read_image(img),
            bboxes,
            labels,
            masks,
            class_names=self.CLASSES,
            score_thr=score_thr,
            bbox_color=bbox_color,
            text_color=text_color,
            mask_color=mask_color,
            thickness=thickness,
            font_size=font_size,
            win_name=win_name,
            show=show,
            wait_time=wait_time,
            out_file=out_file,
        )
        return None if show or out_file else picture

    onnx_export = refuse_export
