"""Samplers that read the directive ``ignore_negatives``: for images in which not every object is annotated.

Every registered sampler has such a version: the name with ``WithIgnore`` behind it, which :data:`BBOX_SAMPLERS` makes
when it is asked for.
"""

import inspect
from typing import Any

from torch import Tensor

from mmdet.core.bbox.assigners.assign_result import AssignResult
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.bbox.samplers.ohem_sampler import OHEMSampler
from mmdet.core.bbox.samplers.random_sampler import RandomSampler
from mmdet.core.directives import ignores_negatives
from mmdet.core.img_meta import ImgMeta

SUFFIX = 'WithIgnore'


class BasicSamplerWithIgnore:
    """Mixin for any sampler: where the image says ``ignore_negatives``, no negative is picked.

    Positives are picked as ever; they do not fill the room that the negatives leave. It goes before the sampler:
    ``class CombinedSamplerWithIgnore(BasicSamplerWithIgnore, CombinedSampler)``.
    """

    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> Tensor:
        if ignores_negatives(kwargs.get('img_metas')):
            num_expected = 0
        return super()._sample_neg(assign_result, num_expected, **kwargs)  # type: ignore[misc]  # the sampler's own


def without_ignored_negatives(sampler: Any, gt_inds: Tensor, img_meta: ImgMeta) -> Tensor:
    """Numbers of objects ``gt_inds`` (n,), 0: negative, in which negatives become -1 where sampler and image say so."""
    if isinstance(sampler, BasicSamplerWithIgnore) and ignores_negatives(img_meta):
        return gt_inds.masked_fill(gt_inds == 0, -1)
    return gt_inds


@BBOX_SAMPLERS.register_module()
class RandomSamplerWithIgnore(BasicSamplerWithIgnore, RandomSampler):
    """:class:`RandomSampler` that reads ``ignore_negatives``."""


@BBOX_SAMPLERS.register_module()
class OHEMSamplerWithIgnore(BasicSamplerWithIgnore, OHEMSampler):  # type: ignore[misc]  # it is called by name
    """:class:`OHEMSampler` that reads ``ignore_negatives``."""


def unsupported_reason(sampler: type) -> str | None:
    """Why a sampler has no version that reads ``ignore_negatives``; None: it has one."""
    if not inspect.isclass(sampler) or issubclass(sampler, BasicSamplerWithIgnore):
        return 'reads ignore_negatives already' if inspect.isclass(sampler) else 'is no class'
    if not callable(getattr(sampler, '_sample_neg', None)):
        return 'has no method _sample_neg(assign_result, num_expected, **kwargs), which picks the negatives'
    return None


def with_ignore(sampler: type) -> type:
    """The version of a sampler that reads ``ignore_negatives``; same arguments."""
    doc = f':class:`{sampler.__name__}` that reads ``ignore_negatives``.'
    return type(sampler.__name__ + SUFFIX, (BasicSamplerWithIgnore, sampler), {'__module__': __name__, '__doc__': doc})


def __getattr__(name: str) -> type:
    # derived classes live here, so that pickles find them
    found = BBOX_SAMPLERS.get(name) if name.endswith(SUFFIX) else None
    if found is None:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return found


BBOX_SAMPLERS.add_derivation(SUFFIX, with_ignore, unsupported_reason)


def taking_all(sampler: str) -> str:
    """The name of the sampler that takes all boxes and reads directives as the one of the name ``sampler`` does."""
    return 'PseudoSampler' + (SUFFIX if sampler.endswith(SUFFIX) else '')
