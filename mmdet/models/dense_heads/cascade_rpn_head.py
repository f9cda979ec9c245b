"""Cascade RPN: anchors refined in stages, whose features follow them (https://arxiv.org/abs/1909.06720)."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

from torch import Tensor, nn

from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS, build_head
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.dense_heads.cascade_rpn_stage import StageCascadeRPNHead
from mmdet.models.dense_heads.dense_test_mixins import BBoxTestMixin
from mmdet.models.dense_heads.functional.guided.adaptive_conv import AdaptiveConv
from mmdet.models.dense_heads.functional.rows import sizes_of_maps
from mmdet.models.utils.settings import as_config


@HEADS.register_module()
class CascadeRPNHead(BaseDenseHead):
    """Stages that refine the anchors one after another; the last one's boxes are the proposals.

    Args:
        num_stages: number of stages.
        stages: config of each stage.
        train_cfg: ``train_cfg`` of each stage; None: no training.
        test_cfg: ``test_cfg`` of all stages, by which proposals are made in training, too.
        init_cfg: initialisation of the weights; that of the stages is in their configs.

    Raises:
        ValueError: there are not ``num_stages`` configs.
    """

    # read where heads with weights are made
    no_weight_per_image = 'its losses are those of its stages; name each of them so'

    def __init__(
        self,
        num_stages: int,
        stages: Sequence[dict],
        train_cfg: Sequence[dict] | None,
        test_cfg: dict | None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        for name, configs in (('stages', stages), ('train_cfg', train_cfg)):
            if configs is not None and len(configs) != num_stages:
                raise ValueError(f'{num_stages} stages, but {name} has {len(configs)} configs')
        self.num_stages = num_stages
        self.train_cfg = train_cfg
        self.test_cfg = as_config(test_cfg)
        of_stages: Iterable[dict | None] = train_cfg or repeat(None)
        self.stages: Any = nn.ModuleList(
            build_head({**stage, 'train_cfg': cfg, 'test_cfg': test_cfg}) for stage, cfg in zip(stages, of_stages)
        )

    def loss(self) -> None:
        """Not here: each stage has its own.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError('CascadeRPNHead.loss: the losses are those of its stages; call forward_train')

    def get_bboxes(self) -> None:
        """Not here: the last stage has it.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError('CascadeRPNHead.get_bboxes: it is that of the last stage; call simple_test_rpn')

    def _run_stages(self, x: Sequence[Tensor], img_metas: list[ImgMeta]) -> Any:
        """Yield, stage by stage, (stage, anchors, flags, scores, box deltas)."""
        sizes = sizes_of_maps(x)
        anchors, flags = self.stages[0].get_anchors(sizes, img_metas, device=x[0].device)
        for number, stage in enumerate(self.stages, start=1):
            offsets = None
            if stage.adapt_cfg['type'] == 'offset':
                offsets = stage.anchor_offset(anchors, stage.anchor_strides, sizes)
            x, scores, deltas = stage(x, offsets)
            yield stage, anchors, flags, scores, deltas
            if number < self.num_stages:
                anchors = stage.refine_bboxes(anchors, deltas, img_metas)

    def forward_train(
        self,
        x: Sequence[Tensor],
        img_metas: list[ImgMeta],
        gt_bboxes: list[Tensor],
        gt_labels: None = None,
        gt_bboxes_ignore: list[Tensor] | None = None,
        proposal_cfg: dict | None = None,
        **kwargs: Any,
    ) -> dict | tuple[dict, list[Tensor]]:
        """Losses of a batch, named ``s0.loss_rpn_reg`` and so on, and, if asked for, its proposals.

        Args:
            x: L feature maps (N, channels, H, W).
            img_metas: meta information of the N images.
            gt_bboxes: N times (G, 4).
            gt_labels: must be None.
            gt_bboxes_ignore: N times (G', 4) regions in which nothing is learnt, but by a region assigner.
            proposal_cfg: None: make no proposals; else they are made by ``test_cfg``, whatever it says.
            kwargs: other keys of the batch; not used here.

        Raises:
            ValueError: there are labels.
        """
        if gt_labels is not None:
            raise ValueError('CascadeRPNHead knows no classes: gt_labels must be None')
        losses = {}
        for i, (stage, anchors, flags, scores, deltas) in enumerate(self._run_stages(x, img_metas)):
            stage_losses = stage.loss(anchors, flags, scores, deltas, gt_bboxes, img_metas, gt_bboxes_ignore)
            losses.update({f's{i}.{name}': value for name, value in stage_losses.items()})
        if proposal_cfg is None:
            return losses
        self.last_objectness = [level.detach() for level in scores]
        return losses, stage.get_bboxes(anchors, scores, deltas, img_metas, self.test_cfg)

    def simple_test_rpn(self, x: Sequence[Tensor], img_metas: list[ImgMeta]) -> list[Tensor]:
        """Proposals of each image, (k, 5) with scores, best first."""
        *_, (stage, anchors, _, scores, deltas) = self._run_stages(x, img_metas)
        return stage.get_bboxes(anchors, scores, deltas, img_metas, self.test_cfg)

    def aug_test_rpn(self, x: Sequence[Sequence[Tensor]], img_metas: list[list[ImgMeta]]) -> list[Tensor]:
        """Proposals of each image, merged over its versions, in pixels of the original image; (k, 5)."""
        return BBoxTestMixin.aug_test_rpn(self, x, img_metas)


__all__ = ['AdaptiveConv', 'CascadeRPNHead', 'StageCascadeRPNHead']
