"""Training directives on their way to ``img_metas``: from the loading of an image, through mixing, to ``Collect``.

``AddDirectives`` gives an image its directives. Before ``Collect`` has made the ``img_metas`` they travel in the
results' entry :data:`DIRECTIVES`; the steps that merge images merge those of their parts, and ``Collect`` writes them
into ``img_metas``.
"""

from collections.abc import Sequence

from mmdet.core.directives.merging import merge_directives

# the results' entry: directive -> value
DIRECTIVES = 'directives'


def join_directives(results: dict, parts: Sequence[dict], areas: Sequence[float]) -> None:
    """Merge the directives of images that become one, in place of the results' entry; see ``merge_directives``.

    Args:
        results: of the merged image; stay without the entry where no part has it.
        parts: results of each image, that of ``results`` itself among them.
        areas: what is seen of each, px².
    """
    own = [part.get(DIRECTIVES, {}) for part in parts]
    if any(own):
        results[DIRECTIVES] = merge_directives(own, areas)
