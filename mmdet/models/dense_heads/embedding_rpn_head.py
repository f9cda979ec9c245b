"""The first stage of Sparse R-CNN: boxes and queries that are learnt and the same for every image."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.runner import BaseModule
from torch import Tensor, nn

from mmdet.core.bbox.transforms import bbox_cxcywh_to_xyxy
from mmdet.core.img_meta import ImgMeta
from mmdet.models.builder import HEADS
from mmdet.utils.registry import refuse_unused
from mmdet.utils.running.device_copy import tensor_like


@HEADS.register_module()
class EmbeddingRPNHead(BaseModule):
    """P learnt proposals, each a box and a query (https://arxiv.org/abs/2011.12450).

    At first every box is the whole image.

    Args:
        num_proposals: number of proposals P.
        proposal_feature_channel: channels C of a query.
        init_cfg: must stay None: the head initialises itself.
        kwargs: the settings that a detector gives its first stage (``train_cfg``, ``test_cfg``); not used.

    Raises:
        TypeError: an argument has another name.
        ValueError: ``init_cfg`` is given.
    """

    no_weight_per_image = 'it has no loss'  # read where heads with weights are made

    def __init__(
        self,
        num_proposals: int = 100,
        proposal_feature_channel: int = 256,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_unused(self, kwargs.keys() - {'train_cfg', 'test_cfg'})
        if init_cfg is not None:
            raise ValueError(f'{type(self).__name__} initialises itself; init_cfg must be None, got {init_cfg!r}')
        super().__init__(init_cfg)
        self.num_proposals = num_proposals
        self.proposal_feature_channel = proposal_feature_channel
        self._init_layers()

    def _init_layers(self) -> None:
        self.init_proposal_bboxes = nn.Embedding(self.num_proposals, 4)
        self.init_proposal_features = nn.Embedding(self.num_proposals, self.proposal_feature_channel)

    def init_weights(self) -> None:
        """Make every box the whole image: centre 0.5, size 1."""
        super().init_weights()
        with torch.no_grad():
            self.init_proposal_bboxes.weight.copy_(torch.tensor([0.5, 0.5, 1.0, 1.0]))

    def _decode_init_proposals(self, imgs: Sequence[Tensor], img_metas: list[ImgMeta]) -> tuple[Tensor, Tensor, Tensor]:
        """Proposals of each of N images; see :meth:`forward_train`."""
        whwh = image_whwh(img_metas, self.init_proposal_bboxes.weight)
        boxes = bbox_cxcywh_to_xyxy(self.init_proposal_bboxes.weight) * whwh  # (P, 4) * (N, 1, 4) -> (N, P, 4)
        return boxes, self.init_proposal_features.weight.expand(len(img_metas), -1, -1), whwh

    def forward_dummy(self, img: Sequence[Tensor], img_metas: list[ImgMeta]) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`forward_train`."""
        return self._decode_init_proposals(img, img_metas)

    def forward_train(self, img: Sequence[Tensor], img_metas: list[ImgMeta]) -> tuple[Tensor, Tensor, Tensor]:
        """Proposals of each of N images.

        Args:
            img: not used.
            img_metas: has ``img_shape`` of each image.

        Returns:
            boxes (N, P, 4) xyxy px of the network input, queries (N, P, C), and (N, 1, 4) width, height, width, height
            of each image, px.
        """
        return self._decode_init_proposals(img, img_metas)

    def simple_test_rpn(self, img: Sequence[Tensor], img_metas: list[ImgMeta]) -> tuple[Tensor, Tensor, Tensor]:
        """See :meth:`forward_train`."""
        return self._decode_init_proposals(img, img_metas)

    def simple_test(self, img: Sequence[Tensor], img_metas: list[ImgMeta]) -> None:
        """Not offered: the proposals have no scores, so they are no results.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(f'{type(self).__name__} has no simple_test: its proposals have no scores')

    def aug_test_rpn(self, feats: Sequence[Sequence[Tensor]], img_metas: list[list[ImgMeta]]) -> None:
        """Not offered: proposals belong to the queries of one view and cannot be merged over several.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f'{type(self).__name__}: learnt proposals cannot be merged over several views of an image; test with one '
            'view (one img_scale, flip=False)'
        )


def image_whwh(img_metas: Sequence[ImgMeta], like: Tensor) -> Tensor:
    """(N, 1, 4) width, height, width, height px of each image, with the type and device of ``like``."""
    sizes = tensor_like([meta['img_shape'][:2] for meta in img_metas], like).reshape(-1, 2)
    return sizes.flip(1).repeat(1, 2)[:, None]
