"""Detectors on a device that is no CPU: simulated, so that no GPU is needed; see ``sim_tensor.py``.

Every family, directive, sampler and option gives the CPU's losses, gradients and detections, mixes no devices, leaves
no parameter without a gradient (which distributed training would wait for), steps in mixed precision, and has the
same keys in its log with and without objects. No case may have more host-device synchronisations than
``host_syncs.json`` allows; a change that has fewer lowers the table by
``python tests/sim_device/sim_worker.py --write``.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import sim_cases
import torch
from process import python
from sim_models import small_model

from mmdet._environment import digit_version
from mmdet.core.bbox.builder import BBOX_SAMPLERS
from mmdet.core.directives import keys
from mmdet.models.builder import DETECTORS, HEADS
from mmdet.models.options import acceleration

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'tests/sim_device'
BUDGETS = json.loads((FOLDER / 'host_syncs.json').read_text())
needs_torch = pytest.mark.skipif(
    digit_version(torch.__version__.split('+')[0]) < digit_version('2.14'),
    reason=f'a device can be registered from Python from torch 2.14 on; this is torch {torch.__version__}',
)
# bases of others, and what no config builds by itself
HEADS_APART = {
    'AnchorFreeHead', 'AnchorHead', 'AscendAnchorHead', 'GuidedAnchorHead', 'BBoxHead', 'ConvFCBBoxHead',
    'Shared4Conv1FCBBoxHead',
    'BBoxHeadWithWeightPerImage', 'ConvFCBBoxHeadWithWeightPerImage', 'Shared2FCBBoxHeadWithWeightPerImage',
    'Shared4Conv1FCBBoxHeadWithWeightPerImage', 'SABLHeadWithWeightPerImage', 'DIIHeadWithWeightPerImage',
    'RPNHeadWithWeightPerImage', 'StandardRoIHeadWithExtraBBoxHead', 'MaskFormerFusionHead', 'ImageDomainHead',
    'InstanceDomainHead', 'ResLayer', 'SoftTargetFCNMaskHead',
}  # fmt: skip


def run(names: list[str]) -> list[dict[str, Any]]:
    """Rows of the worker, one for each case."""
    done = python(FOLDER / 'sim_worker.py', *names)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]
    assert [row['name'] for row in rows] == names
    return rows


def portions(names: list[str], size: int) -> list[list[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


@needs_torch
@pytest.mark.parametrize('names', portions(list(sim_cases.CASES), 16), ids=lambda names: names[0])
def test_detectors_are_as_on_the_cpu_also_in_mixed_precision_and_synchronise_no_more_than_before(names):
    faults = {}
    for row in run(names):
        found = row['problems']
        for key in ('training', 'inference'):
            if row.get(key, 0) > BUDGETS[row['name']].get(key, 0):
                budget = BUDGETS[row['name']][key]
                found.append(f'{row[key]} synchronisations in {key}, {budget} allowed: {row[f"{key}_lines"]}')
        faults |= {row['name']: found} if found else {}
    assert faults == {}


@needs_torch
def test_the_device_itself():
    assert ' passed' in python(FOLDER / 'device_checks.py').stdout


def types_in(node: Any) -> set[str]:
    """All values of ``type`` in a config."""
    if isinstance(node, dict):
        own = {node['type']} if isinstance(node.get('type'), str) else set()
        return own.union(*map(types_in, node.values()))
    return set().union(*map(types_in, node)) if isinstance(node, (list, tuple)) else set()


def registered(registry: Any, package: str) -> set[str]:
    return {name for name, kind in registry.module_dict.items() if kind.__module__.startswith(package)}


def test_every_registered_family_sampler_directive_and_option_has_a_case():
    models = [small_model(case) for case in sim_cases.CASES.values()]
    types = set().union(*map(types_in, models))
    detectors = registered(DETECTORS, 'mmdet.models.detectors')
    bases = {
        'SingleStageDetector', 'TwoStageDetector', 'TwoStagePanopticSegmentor', 'SingleStageInstanceSegmentor',
    }  # fmt: skip
    assert detectors - types == bases - types
    heads = registered(HEADS, 'mmdet.models.dense_heads') | registered(HEADS, 'mmdet.models.roi_heads')
    assert {name for name in heads if name.endswith('Head')} - types - HEADS_APART == set()
    made_where_none_is_named = {'PseudoSampler', 'MaskPseudoSampler'}
    samplers = registered(BBOX_SAMPLERS, 'mmdet.core') - made_where_none_is_named
    assert samplers - types == set()
    assert set(acceleration.OPTIONS) - set().union(*models) == {'compile'}  # the device knows no compiled code
    given = {key for meta in sim_cases.POLICIES.values() for key in meta}
    assert {keys.IGNORE_NEGATIVES, keys.NEGATIVES, *keys.CLASS_KEYS} <= given
    assert {key.rpartition('.')[2] for key in given if '.' in key} == {'loss_weight', 'negative_weight'}
