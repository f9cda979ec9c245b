"""Every golden case of single calls: losses, coders, anchors, assigners, samplers, heads, pipeline steps, metrics."""

import pytest
from golden_data import arrays_of, cases_of, outputs_of
from programs import Program, differences


# ``assign/atss`` has two anchors that are equally far from an object; which one topk takes depends on the processor,
# so one of its 480 numbers may be another (``int_share``).
@pytest.mark.parametrize('name', [case['name'] for case in cases_of('components')])
def test_component_gives_the_golden_numbers(name):
    check('components', name)


@pytest.mark.parametrize('name', [case['name'] for case in cases_of('fork')])
def test_directive_component_gives_the_golden_numbers(name):
    check('fork', name)


def check(stem, name):
    case = next(c for c in cases_of(stem) if c['name'] == name)
    arrays, texts = Program(arrays_of(stem)).run(case)
    assert differences(case, outputs_of(stem, name), arrays, texts) == []
