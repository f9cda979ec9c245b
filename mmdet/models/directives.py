"""The per-image training directives in a model: what heads call, the classes and the switch that turn them on.

A head that takes part names the head whose keys it reads, ``directive_head`` (and ``directive_fallback``, whose keys
count where an image has none of the first), hands its targets to :func:`weigh_targets` and its class scores to
:func:`mask_scores`; heads that derive from ``BaseHead`` have these as methods. What these do is in
``mmdet.core.directives``.
"""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.custom_sampler import SUFFIX as SAMPLER_SUFFIX
from mmdet.core.directives import (
    CANNOT_TELL,
    IGNORE_NEGATIVES,
    BatchDirectives,
    HeadDirectives,
    mask_negatives,
    row_weights,
    weigh,
)
from mmdet.core.img_meta import ImgMeta
from mmdet.core.targets import Targets
from mmdet.core.utils.misc import images_of_rows
from mmdet.utils.registry import Registry, did_you_mean

SUFFIX = 'WithWeightPerImage'
WEIGHTS = 'weights'
SWITCHES = (WEIGHTS, IGNORE_NEGATIVES)
# what each class states for itself, and holds for its version with weights as well
STATED = ('has_static_shapes',)
# what lies below these is no part of the losses that the directives are for, or follows from what is above
LEFT_ALONE = ('extra_bbox_head', 'pos_sampler', 'neg_sampler')
# slots of a detector whose head takes all anchors where its section of train_cfg names no sampler
DENSE_SLOTS = (('bbox_head', None), ('rpn_head', 'rpn'))


def directives_of(head: nn.Module) -> HeadDirectives:
    """Which directives a head reads; made when it is first asked for, from attributes of the head's class.

    These are ``directive_head``, ``directive_fallback`` (None: none), ``weighs_images`` (whether they change its
    losses; default False) and ``has_sampler`` (see :class:`HeadDirectives`; default True).
    """
    found = vars(head).get('directives')
    if isinstance(found, HeadDirectives):
        return found
    kind: Any = head  # nn.Module takes every attribute for a tensor or a module
    names = (kind.directive_head, getattr(kind, 'directive_fallback', None))
    made = HeadDirectives(
        [name for name in names if name],
        enabled=getattr(kind, 'weighs_images', False),
        has_sampler=getattr(kind, 'has_sampler', True),
    )
    kind.directives = made
    return made


def read_directives(
    head: nn.Module,
    img_metas: Sequence[ImgMeta] | None,
    device: torch.device,
    sampled: bool | None = None,
    for_weights: bool = True,
) -> BatchDirectives | None:
    """What a batch's directives say to a head; None: nothing, or they are off.

    ``sampled`` says whether a sampler has left out the negatives that are to be ignored; None: the head's
    ``has_sampler`` does. ``for_weights`` says whether loss weights will enter a loss.
    """
    sigmoid = getattr(head, 'use_sigmoid_cls', None)
    if sigmoid is None:
        sigmoid = getattr(getattr(head, 'loss_cls', None), 'use_sigmoid', False)
    return directives_of(head).read(
        img_metas, getattr(head, 'num_classes', 0), not sigmoid, device, sampled, for_weights
    )


def weigh_targets(
    head: nn.Module,
    targets: Targets,
    image_of_row: Tensor,
    img_metas: Sequence[ImgMeta] | None,
    overlaps: Callable[[int], Tensor] | None = None,
    sampled: bool | None = None,
    objects: Callable[[], Tensor] | None = None,
) -> Targets:
    """:func:`mmdet.core.directives.weigh` with what the images say to ``head``; see :func:`read_directives`."""
    directives_of(head).weighed = True
    found = read_directives(head, img_metas, image_of_row.device, sampled)
    directives_of(head).with_objects = found is not None and found.object_weights is not None
    _check_objects(head, found, objects)
    return weigh(targets, image_of_row, found, overlaps, objects)


def _check_objects(head: nn.Module, found: BatchDirectives | None, objects: Any) -> None:
    """Refuse weights of single objects in a head that cannot tell the objects of its rows."""
    if objects is None and found is not None and found.object_weights is not None:
        raise ValueError(CANNOT_TELL.replace('this head', type(head).__name__))


def masks_scores(head: nn.Module, img_metas: Sequence[ImgMeta] | None, device: torch.device) -> bool:
    """Whether :func:`mask_scores` has something to do; for heads whose scores must be rearranged for it."""
    directives_of(head).masked = True
    found = read_directives(head, img_metas, device, for_weights=False)
    return found is not None and found.masks_scores


def mask_scores(
    head: nn.Module,
    logits: Tensor,
    labels: Tensor,
    label_weights: Tensor,
    image_of_row: Tensor,
    img_metas: Sequence[ImgMeta] | None,
    class_wise: bool = True,
) -> tuple[Tensor, Tensor]:
    """:func:`mmdet.core.directives.mask_negatives` with what the images say to ``head``.

    ``class_wise`` is False where the scores only tell objects from background; then the classes have no effect.
    """
    directives_of(head).masked = True
    found = read_directives(head, img_metas, logits.device, for_weights=False)
    if found is not None and not class_wise:
        found = found._replace(unlabeled=None)
    return mask_negatives(logits, labels, label_weights, image_of_row, found)


def weights_of_rows(
    head: nn.Module,
    img_metas: Sequence[ImgMeta] | None,
    counts: Sequence[int],
    device: torch.device,
    objects: Tensor | None = None,
) -> Tensor | None:
    """(R,) weights for a loss that is a mean over rows, ``counts[i]`` of image i, image after image; None: all 1.

    The loss multiplies its rows by them and keeps its divisor. ``objects`` (R,) are the numbers of the rows' objects in
    their images; None: the head cannot tell.
    """
    directives_of(head).weighed = True
    found = read_directives(head, img_metas, device)
    _check_objects(head, found, objects)
    return row_weights(images_of_rows(counts, device), found, objects)


# ---- classes and the switch


def unsupported_reason(head: Any) -> str | None:
    """Why a registered class has no version with a loss weight for each image; None: it has one."""
    if not inspect.isclass(head):
        return 'is no class'
    if getattr(head, 'weighs_images', False):
        return 'reads the weights of the images already'
    reason = getattr(head, 'no_weight_per_image', None)
    if reason:
        return f'cannot weigh images: {reason}'
    if inspect.isabstract(head):
        return 'cannot weigh images: it is abstract'
    if getattr(head, 'directive_head', None) is None:
        return (
            'cannot weigh images: it does not name the head whose directives it reads. Say '
            "directive_head = 'bbox_head' (or another one) in its class, and hand targets and scores to "
            'mmdet.models.directives in its loss'
        )
    return None


def with_weight_per_image(head: type) -> type:
    """The version of a head whose losses the images' directives change; parameters and keys are the same."""
    doc = f':class:`{head.__name__}` with a loss weight for each image.'
    stated = {name: getattr(head, name) for name in STATED if hasattr(head, name)}
    members = dict(__module__=__name__, __doc__=doc, weighs_images=True, **stated)
    return type(head)(head.__name__ + SUFFIX, (head,), members)


_registries: list[Registry] = []


def derive_weighted_heads(heads: Registry) -> None:
    """Let ``<Head>WithWeightPerImage`` be found in a registry for each head that it has."""
    heads.add_derivation(SUFFIX, with_weight_per_image, unsupported_reason)
    _registries.append(heads)


def __getattr__(name: str) -> type:
    # derived classes live here, so that imports and pickles find them
    found = (heads.get(name) for heads in _registries if name.endswith(SUFFIX))
    head = next((head for head in found if head is not None), None)
    if head is None:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return head


def switch_directives_on(model: Mapping[str, Any], switches: Mapping[str, bool], heads: Registry) -> Any:
    """A copy of a model's config in which heads and samplers have the classes that read directives.

    Args:
        model: config of a detector.
        switches: ``weights`` (heads become ``...WithWeightPerImage``) and ``ignore_negatives`` (samplers become
            ``...WithIgnore``); one that is absent is on.
        heads: where the heads are registered. What cannot read them stays as it is.

    Raises:
        ValueError: a switch that there is not, or one that is neither True nor False.
    """
    for name, value in switches.items():
        if name not in SWITCHES or not isinstance(value, bool):
            near = did_you_mean(name, SWITCHES) if name not in SWITCHES else '.'
            raise ValueError(f'directives: got {name}={value!r}{near} Accepted: {", ".join(SWITCHES)}, True or False')
    model = copy.deepcopy(model)
    if switches.get(IGNORE_NEGATIVES, True):
        _name_default_samplers(model, heads)
        for cfg in _named_configs(model):
            _add_suffix(cfg, BBOX_SAMPLERS, SAMPLER_SUFFIX)
    if switches.get(WEIGHTS, True):
        for cfg in _named_configs(model):
            _add_suffix(cfg, heads, SUFFIX)
    return model


def _named_configs(value: Any) -> Iterator[dict[str, Any]]:
    """All dicts with a ``type`` in a config, outermost first."""
    if isinstance(value, dict):
        if isinstance(value.get('type'), str):
            yield value
        for key, part in value.items():
            if key not in LEFT_ALONE:
                yield from _named_configs(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _named_configs(part)


def _add_suffix(cfg: dict[str, Any], registry: Registry, suffix: str) -> None:
    """Change ``type`` to the derived class, where there can be one."""
    known = not cfg['type'].endswith(suffix) and cfg['type'] in registry
    if known and registry.unsupported_reason(cfg['type'], suffix) is None:
        cfg['type'] += suffix


def _name_default_samplers(model: Any, heads: Registry) -> None:
    """Write the sampler that ``AnchorHead`` takes by default into ``train_cfg``, so that it can be changed."""
    for slot, section in DENSE_SLOTS:
        settings = model.get('train_cfg')
        settings = settings.get(section) if settings and section else settings
        head = heads.get(model[slot]['type']) if model.get(slot) else None
        by_anchors = head is not None and hasattr(head, '_init_matching')
        if by_anchors and settings and settings.get('assigner') and not settings.get('sampler'):
            settings['sampler'] = dict(type='PseudoSampler')
