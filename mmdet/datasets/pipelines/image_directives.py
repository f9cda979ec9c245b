"""Training directives on their way to ``img_metas``: from the loading of an image, through mixing, to ``Collect``.

``AddFieldToImgMetas`` writes into ``img_metas``, which ``Collect`` makes at the end of a pipeline. Steps that merge
images run before that, so directives that are to be merged must travel with the image: ``AddDirectives`` puts them into
the results' entry :data:`DIRECTIVES`, the mixing steps merge those of their parts, and ``Collect`` writes them into
``img_metas``.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mmdet.core.directives import CLASS_KEYS, resolve_classes
from mmdet.core.directives.merging import check_directives, merge_directives
from mmdet.datasets.pipelines.compose import Step, step_name
from mmdet.datasets.registry import PIPELINES

# the results' entry: directive -> value
DIRECTIVES = 'directives'


@PIPELINES.register_module()
class AddDirectives:
    """Give every image that comes through this pipeline training directives, at any place before ``Collect``.

    Needed in a data set whose images are mixed with others (``MultiImageMixDataset``); elsewhere ``AddFieldToImgMetas``
    after ``Collect`` does the same. Directives that are there already keep the place that they have: a second step adds
    to them and replaces only those that it names.

    Args:
        directives: key -> value, such as ``{'rpn_head.loss_weight': 0.5}`` (see :mod:`mmdet.core.directives`).

    Raises:
        TypeError: no dict.
        ValueError: a key that is no directive, or a value that it cannot have; in a pipeline also: a place after
            ``Collect``, where nothing would read them.
    """

    def __init__(self, directives: Mapping[str, Any]) -> None:
        self.directives = check_directives(directives)

    # as of AddFieldToImgMetas: what the audit reads
    replace = True
    info_keys: Mapping[str, str] = MappingProxyType({})

    def fields_of(self, img_info: Mapping[str, Any] | None) -> dict[str, Any]:
        """The directives of an image, whatever its entry in the annotation file."""
        return dict(self.directives)

    def bind_classes(self, classes: Sequence[str], category_labels: Mapping[Any, int] | None = None) -> None:
        """Turn names of classes into labels; see :meth:`Compose.bind_classes`.

        Raises:
            ValueError: a name that is no class of the data set.
        """
        for key in self.directives.keys() & set(CLASS_KEYS):
            self.directives[key] = resolve_classes(key, self.directives[key], classes)

    def check_pipeline(self, previous_steps: list[Step]) -> None:
        """Check that no step before has made ``img_metas``.

        Raises:
            ValueError: one has.
        """
        late = [step_name(step) for step in previous_steps if hasattr(step, 'meta_keys')]
        if late:
            raise ValueError(
                f'AddDirectives must come before {late[0]}, which writes them into img_metas; after it use '
                'AddFieldToImgMetas'
            )

    def __call__(self, results: dict) -> dict:
        if 'img_metas' in results:
            raise ValueError('AddDirectives: img_metas are made already; put this step before Collect')
        results[DIRECTIVES] = {**results.get(DIRECTIVES, {}), **self.directives}
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(directives={self.directives})'


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
