"""What to do about sources in which not all objects, or not all classes, are annotated.

:func:`recommend` is arithmetic over what the sources declare. :data:`RULES` holds what the experiments on missing
labels found; change the numbers there and nowhere else.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from mmdet.core.directives import (
    LABELED_CLASSES,
    TWO_STAGES,
    HeadDirectives,
    ignores_negatives,
    negative_policy,
)

NO_ENTRIES: Mapping[str, Any] = MappingProxyType({})  # default of mappings
PAGE = 'docs/experiments/missing_labels.md'
CLASSES_PAGE = 'docs/partial_labels.md'
# Fraction of an epoch's images from which on the policy made a difference.
LARGE_FRACTION = 0.2
# Policies, the strictest first; the first that holds in some head is an image's.
POLICIES = ('none', 'recalibrate', 'overlap', 'soft', 'all')


class SourceFacts(NamedTuple):
    """What is known of a source before the training; fractions are in [0, 1]."""

    name: str
    fraction: float  # of the images of an epoch that are the source's
    policies: Mapping[str, float] = NO_ENTRIES  # policy of negatives -> fraction of the source's images that have it
    without_objects: Sequence[str] = ()  # classes that no box is of and that count as annotated nevertheless

    @property
    def incomplete(self) -> float:
        """Fraction of the source's images that are declared to miss objects."""
        return sum(fraction for policy, fraction in self.policies.items() if policy != 'all')


class Rule(NamedTuple):
    """Where a policy does not pay, and what does."""

    policy: str  # of the images in question
    above: float  # their fraction of all images of an epoch is greater than this
    up_to: float  # and at most this
    prefer: tuple[str, ...]
    why: str


BETTER = ('overlap', 'soft')
RULES = (
    Rule('none', LARGE_FRACTION, 1.0, BETTER, 'they brought as much and leave negatives that teach what background is'),
    Rule('recalibrate', LARGE_FRACTION, 1.0, BETTER, 'in short trainings they brought more'),
)


def recommend(source_facts: Sequence[SourceFacts]) -> list[str]:
    """Sentences with what to change and the page to read; none where there is nothing to say.

    Args:
        source_facts: of each source of the mixture.
    """
    sentences = []
    for rule in RULES:
        parts = {source.name: source.fraction * source.policies.get(rule.policy, 0.0) for source in source_facts}
        fraction = sum(parts.values())
        if rule.above < fraction <= rule.up_to + 1e-9:
            names = ', '.join(name for name, part in parts.items() if part)
            better = ' or '.join(map(repr, rule.prefer))
            sentences.append(
                f'{names}: {fraction:.0%} of the images of an epoch have negatives={rule.policy!r}; prefer {better}, '
                f'as {rule.why} (see {PAGE})'
            )
    sentences += [
        f'{source.name}: no object is of {", ".join(source.without_objects)}, but its images count as complete. If '
        f'nobody looked for them, say so by {LABELED_CLASSES} (see {CLASSES_PAGE} and {PAGE})'
        for source in source_facts
        if source.without_objects and source.fraction
    ]
    return sentences


def policy_of_image(fields: Mapping[str, Any], heads: Mapping[str, HeadDirectives] = TWO_STAGES) -> str:
    """The policy, of :data:`POLICIES`, that an image's directives come to: the one of them that is strictest.

    Args:
        fields: the directives of the image.
        heads: of the model; those without negatives do not matter.
    """
    if ignores_negatives(fields):
        return 'none'
    found = {policy_in_head(fields, head.names) for head in heads.values() if head.has_negatives}
    return next((policy for policy in POLICIES if policy in found), 'all')


def policy_in_head(fields: Mapping[str, Any], heads: Sequence[str]) -> str:
    """The policy, of :data:`POLICIES`, that an image's negatives have in one head, by their weights.

    Args:
        fields: the directives of the image.
        heads: the head's names, the first that the image has a directive for counts.
    """
    policy = negative_policy(fields, heads)
    weight = policy.factor
    if weight == 0:
        return 'none'
    if policy.kind in ('all', 'soft'):  # a policy 'soft' of weight 1 is none
        return 'all' if weight == 1 else 'soft'
    return policy.kind
