"""Arithmetic of the heads of DETR: class weights, names of losses and of parameters, sizes, best scores."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from torch import Tensor

from mmdet.core.bbox.transforms import bbox_cxcywh_to_xyxy
from mmdet.core.img_meta import ImgMeta
from mmdet.utils.running.device_copy import tensor_like

# Defaults of the constructors, which are part of their signatures; never written to.
POSITIONAL_ENCODING = dict(type='SinePositionalEncoding', num_feats=128, normalize=True)
LOSS_CLS = dict(type='CrossEntropyLoss', bg_cls_weight=0.1, use_sigmoid=False, loss_weight=1.0, class_weight=1.0)
LOSS_BBOX = dict(type='L1Loss', loss_weight=5.0)
LOSS_IOU = dict(type='GIoULoss', loss_weight=2.0)
TRAIN_CFG = dict(
    assigner=dict(
        type='HungarianAssigner',
        cls_cost=dict(type='ClassificationCost', weight=1.0),
        reg_cost=dict(type='BBoxL1Cost', weight=5.0),
        iou_cost=dict(type='IoUCost', iou_mode='giou', weight=2.0),
    )
)
TEST_CFG = dict(max_per_img=100)
RELU = dict(type='ReLU', inplace=True)

# of names from before the layers became mmcv's, in checkpoints of version 1
OLD_NAMES = (
    ('.self_attn.', '.attentions.0.'),
    ('.ffn.', '.ffns.0.'),
    ('.multihead_attn.', '.attentions.1.'),
    ('.decoder.norm.', '.decoder.post_norm.'),
)


def best(scores: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """The ``limit`` highest of (n,) scores, descending, and their places."""
    return scores.topk(min(limit, len(scores)))


def best_queries(cls_score: Tensor, limit: int, use_sigmoid: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, queries and labels (k,) of the ``limit`` best detections, best first.

    Args:
        cls_score: (Q, K) logits of independent sigmoids, of which a query may give several; or (Q, K + 1) of a softmax.
        limit: most detections.
        use_sigmoid: which of the two.
    """
    if use_sigmoid:
        # one query may give several detections: classes of independent sigmoids do not exclude each other
        scores, inds = best(cls_score.sigmoid().flatten(), limit)
        num_classes = cls_score.size(1)
        return scores, inds.div(num_classes, rounding_mode='floor'), inds % num_classes
    # background takes part in the softmax and not in the choice: an unsure query has a low score, and is not dropped
    scores, labels = cls_score.softmax(-1)[..., :-1].max(-1)
    scores, rows = best(scores, limit)
    return scores, rows, labels[rows]


def with_class_weights(loss_cls: Mapping[str, Any], num_classes: int) -> tuple[dict[str, Any], float]:
    """The config of a classification loss with a weight for each of K classes, and that of background.

    ``class_weight`` may be a number; then ``bg_cls_weight`` is that of background, the same where it is absent.
    """
    loss_cls = dict(loss_cls)
    class_weight, bg_cls_weight = loss_cls.get('class_weight'), loss_cls.pop('bg_cls_weight', None)
    if not isinstance(class_weight, (int, float)):  # none, or one for each class already
        return loss_cls, 0.0
    bg_cls_weight = class_weight if bg_cls_weight is None else bg_cls_weight
    loss_cls['class_weight'] = [float(class_weight)] * num_classes + [float(bg_cls_weight)]
    return loss_cls, bg_cls_weight


def rename_old_keys(state_dict: dict[str, Any], prefix: str) -> None:
    """Give the parameters of a transformer the names of version 2; ``state_dict`` is changed."""
    for key in [key for key in state_dict if key.startswith(prefix)]:
        renamed = key
        for old, new in OLD_NAMES:
            renamed = renamed.replace(old, new)
        state_dict[renamed] = state_dict.pop(key)


def losses_by_layer(layers: Iterable[Sequence[Tensor]], names: Sequence[str]) -> dict[str, Tensor]:
    """The losses of a decoder's layers: under their ``names`` of the last one, ``d0.loss_cls`` ... of those before."""
    # the names without a number are those of the layer that makes the detections, so that logs of one and of six layers
    # compare
    *former, last = layers
    losses = {f'd{i}.{name}': loss for i, values in enumerate(former) for name, loss in zip(names, values)}
    return losses | dict(zip(names, last))


def check_class_weight(class_weight: Sequence[float] | None, num_classes: int) -> None:
    """Check that a classification loss weighs each of K classes, and "no object".

    Raises:
        ValueError: it does not.
    """
    if class_weight is None or len(class_weight) != num_classes + 1:
        raise ValueError(
            f'loss_cls.class_weight: expected one number for each of {num_classes} classes and one for "no object", '
            f'got {class_weight}'
        )


def check_num_feats(num_feats: int, channels: int) -> None:
    """Check that an encoding of positions, whose x and y have ``num_feats`` features each, fits the channels.

    Raises:
        ValueError: it does not.
    """
    if num_feats * 2 != channels:
        raise ValueError(f'positional_encoding: num_feats must be half of the {channels} channels, got {num_feats}')


def boxes_inside(bbox_pred: Tensor, img_shape: Sequence[int]) -> Tensor:
    """Boxes (k, 4), centre x, y, w, h as fractions of the image, as xyxy px inside of the image (h, w[, c])."""
    size = tensor_like([img_shape[1], img_shape[0]] * 2, bbox_pred)
    return (bbox_cxcywh_to_xyxy(bbox_pred) * size).clamp(min=0).minimum(size)


def image_sizes(img_metas: Sequence[ImgMeta], like: Tensor) -> Tensor:
    """(N, 4) width, height, width, height px of each image, with the type and device of ``like``."""
    return tensor_like([[meta['img_shape'][1], meta['img_shape'][0]] * 2 for meta in img_metas], like)


def refuse_points(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Not offered; a method of heads whose queries predict boxes.

    Raises:
        NotImplementedError: always; queries stand at no points.
    """
    raise NotImplementedError(f'{type(self).__name__} has queries, which stand at no points of a feature map')
