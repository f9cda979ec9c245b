"""Runs the little programs of the golden data and compares what they give.

A case is ``dict(name, steps=[[variable, expression], ...], show=[variable, ...], grad, tol=[rtol, atol], texts)``. An
expression is plain JSON in which a dict with a ``$`` key is an instruction: a tensor (``$t``, ``$g`` with gradient) or
an array (``$n``) of the data file, an earlier variable (``$v``), a call (``$call``), a registry build (``$build``), a
method (``$m``), an attribute (``$get``, ``$set``), an item (``$item``), and constructors of plain values.
"""

import importlib
import random
import sys
import types

import numpy as np
import torch
from filling import fill_module
from mmcv import ConfigDict

REGISTRY_MODULES = {
    'PRIOR_GENERATORS': 'mmdet.core.anchor.builder',
    'BBOX_ASSIGNERS': 'mmdet.core.bbox.builder',
    'BBOX_SAMPLERS': 'mmdet.core.bbox.builder',
    'BBOX_CODERS': 'mmdet.core.bbox.builder',
    'IOU_CALCULATORS': 'mmdet.core.bbox.iou_calculators.builder',
    'MATCH_COST': 'mmdet.core.bbox.match_costs.builder',
    'DATASETS': 'mmdet.datasets.builder',
    'PIPELINES': 'mmdet.datasets.builder',
    'LINEAR_LAYERS': 'mmdet.models.utils.builder',
    'POSITIONAL_ENCODING': 'mmcv.cnn.bricks.registry',
    'PLUGIN_LAYERS': 'mmcv.cnn.bricks.registry',
}
RESULT_FIELDS = {
    'AssignResult': ('num_gts', 'gt_inds', 'max_overlaps', 'labels'),
    'SamplingResult': (
        'pos_inds',
        'neg_inds',
        'pos_bboxes',
        'neg_bboxes',
        'pos_is_gt',
        'pos_assigned_gt_inds',
        'pos_gt_bboxes',
        'pos_gt_labels',
        'pos_gt_masks',
    ),
    'DataContainer': ('data', 'stack', 'cpu_only', 'pad_dims', 'padding_value'),
}
PLAIN_NUMBERS = (bool, int, float, np.generic)


def locate(dotted):
    """The object of a dotted name; an attribute goes before a submodule of the same name."""
    head, *rest = dotted.split('.')
    found, path = importlib.import_module(head), head
    for part in rest:
        path = f'{path}.{part}'
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(path)
    return found


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class Program:
    """One run of a case over the arrays of its data file."""

    def __init__(self, arrays):
        self.arrays, self.variables, self.leaves = arrays, {}, {}

    def run(self, case):
        """(arrays, texts) by path; a step that raises gives ``{'error': class name}`` alone."""
        with np.errstate(all='ignore'):
            for variable, expression in case['steps']:
                try:
                    self.variables[variable] = self.evaluate(expression)
                except Exception as error:  # the error is the result; comparing tells whether it was wanted
                    return {}, {'error': type(error).__name__, '_message': f'{variable}: {error}'}
            shown = {name: self.variables[name] for name in case['show']}
            arrays, texts = {}, {}
            flatten(shown, '', arrays, texts)
            if case.get('grad'):
                arrays.update(self.gradients(shown))
        return {k.lstrip('/'): v for k, v in arrays.items()}, {k.lstrip('/'): v for k, v in texts.items()}

    def gradients(self, shown):
        total = sum(weighted_sums(shown))
        if isinstance(total, torch.Tensor):
            total.backward()
        zero = torch.zeros_like
        return {
            f'grad/{k}': (zero(leaf) if leaf.grad is None else leaf.grad).numpy() for k, leaf in self.leaves.items()
        }

    def evaluate(self, node):
        if isinstance(node, list):
            return [self.evaluate(item) for item in node]
        if isinstance(node, str):
            return sys.intern(node)
        if not isinstance(node, dict):
            return node
        instruction = next((key for key in node if key.startswith('$')), None)
        if instruction is None:
            return {key: self.evaluate(value) for key, value in node.items()}
        return getattr(self, f'do_{instruction[1:]}')(node[instruction], node)

    def arguments(self, node):
        return self.evaluate(node.get('a', [])), self.evaluate(node.get('k', {}))

    def do_t(self, name, node):
        return torch.from_numpy(np.array(self.arrays[name]))

    def do_g(self, name, node):
        if name not in self.leaves:
            self.leaves[name] = self.do_t(name, node).requires_grad_(True)
        return self.leaves[name]

    def do_n(self, name, node):
        return np.array(self.arrays[name])

    def do_v(self, name, node):
        return self.variables[name]

    def do_tuple(self, items, node):
        return tuple(self.evaluate(items))

    def do_call(self, dotted, node):
        args, kwargs = self.arguments(node)
        return locate(dotted)(*args, **kwargs)

    def do_ref(self, dotted, node):
        return locate(dotted)

    def do_build(self, registry, node):
        registry = getattr(importlib.import_module(REGISTRY_MODULES.get(registry, 'mmdet.models.builder')), registry)
        _, defaults = self.arguments(node)
        cfg = ConfigDict(self.evaluate(node['cfg']))
        return registry.build(cfg, default_args=defaults) if defaults else registry.build(cfg)

    def do_m(self, target, node):
        args, kwargs = self.arguments(node)
        return getattr(self.evaluate(target[0]), target[1])(*args, **kwargs)

    def do_get(self, target, node):
        return getattr(self.evaluate(target[0]), target[1])

    def do_set(self, target, node):
        owner = self.evaluate(target[0])
        setattr(owner, target[1], self.evaluate(target[2]))
        return owner

    def do_item(self, target, node):
        return self.evaluate(target[0])[self.evaluate(target[1])]

    def do_cfg(self, content, node):
        return ConfigDict(self.evaluate(content))

    def do_stub(self, content, node):
        return types.SimpleNamespace(**{key: self.evaluate(value) for key, value in content.items()})

    def do_fill(self, target, node):
        return fill_module(self.evaluate(target[0]), target[1], target[2])

    def do_f(self, text, node):
        return float(text)

    def do_dtype(self, name, node):
        return getattr(torch, name)

    def do_np(self, target, node):
        return np.asarray(self.evaluate(target[0]))

    def do_seed(self, seed, node):
        seed_everything(seed)

    def do_items(self, pairs, node):
        evaluated = ((self.evaluate(key), self.evaluate(value)) for key, value in pairs)
        return {tuple(key) if isinstance(key, list) else key: value for key, value in evaluated}

    def do_device(self, name, node):
        return torch.device(name)


def flatten(value, path, arrays, texts):
    """Spread any result over ``{path: array}`` and ``{path: text or None}``."""
    key, kind = path or 'value', type(value).__name__
    fields = next((f for name, f in RESULT_FIELDS.items() if kind == name or kind.endswith(name)), None)
    if isinstance(value, torch.Tensor):
        arrays[key] = value.detach().cpu().numpy()
    elif isinstance(value, np.ndarray) and value.dtype.kind not in 'OUS':
        arrays[key] = value
    elif isinstance(value, PLAIN_NUMBERS):
        arrays[key] = np.asarray(value)
    elif value is None or isinstance(value, str):
        texts[key] = value
    elif fields:
        for name in fields:
            if hasattr(value, name):
                flatten(getattr(value, name), f'{path}/{name}', arrays, texts)
    elif kind in ('BitmapMasks', 'PolygonMasks'):
        flatten(value.masks, f'{path}/masks', arrays, texts)
        arrays[f'{path}/size'] = np.asarray([value.height, value.width])
    elif hasattr(value, 'items'):
        flatten_children([(k, value[k]) for k in value], path, key, arrays, texts)
    elif isinstance(value, (list, tuple, map, range, np.ndarray)):
        flatten_sequence(list(np.ravel(value)) if isinstance(value, np.ndarray) else list(value), path, arrays, texts)
    else:
        texts[key] = kind


def flatten_sequence(values, path, arrays, texts):
    if values and all(isinstance(v, PLAIN_NUMBERS) for v in values):
        arrays[path or 'value'] = np.asarray(values)
    else:
        flatten_children(list(enumerate(values)), path, path or 'value', arrays, texts)


def flatten_children(pairs, path, key, arrays, texts):
    for name, child in pairs:
        flatten(child, f'{path}/{name}', arrays, texts)
    if not pairs:
        texts[key] = '(empty)'


def weighted_sums(value):
    """Of every differentiable tensor in a result, the sum with weights 0.5 + frac(k * 0.618034), k = 1, 2, ..."""
    if isinstance(value, torch.Tensor):
        if torch.is_floating_point(value) and value.requires_grad:
            k = torch.arange(1, value.numel() + 1, dtype=torch.float64)
            weights = (0.5 + torch.remainder(k * 0.618034, 1.0)).to(value.dtype)
            yield (value * weights.reshape(value.shape)).sum()
    elif isinstance(value, (dict, list, tuple)):
        for child in value.values() if isinstance(value, dict) else value:
            yield from weighted_sums(child)


def differences(case, want, arrays, texts):
    """What differs between the golden arrays ``want`` and a run's results; empty where nothing does."""
    expected_texts = {k: v for k, v in case['texts'].items() if not k.startswith('_')}
    if 'error' in texts or 'error' in expected_texts:
        raised = 'error' in texts and 'error' in expected_texts  # any class of error will do
        return [] if raised else [f'error: {texts.get("_message")}, expected {expected_texts.get("error")}']
    found = [f'{k}: {texts.get(k)!r} for {v!r}' for k, v in expected_texts.items() if texts.get(k, '-') != v]
    for key, expected in want.items():
        problem = array_difference(case, key, expected, arrays.get(key))
        found += [f'{key}: {problem}'] if problem else []
    return found


def array_difference(case, key, expected, value):
    if value is None:
        return 'missing'
    if value.shape != expected.shape:
        return f'shape {value.shape} for {expected.shape}'
    if not expected.size or key in case.get('loose', []):
        return None
    if 'f' in expected.dtype.kind + value.dtype.kind or 'c' in expected.dtype.kind:
        rtol, atol = case.get('tol', [1e-5, 1e-6])
        wrong = ~np.isclose(value.astype(float), expected.astype(float), rtol=rtol, atol=atol, equal_nan=True)
        return f'{wrong.sum()} of {wrong.size} values differ' if wrong.any() else None
    return integer_difference(case, expected, value)


def integer_difference(case, expected, value):
    """Resampled 8-bit images may differ by 2 grey levels in most, by more in few pixels; all else is equal."""
    if expected.dtype.kind not in 'bui' or value.dtype.kind not in 'bui':
        return None if np.array_equal(expected, value) else 'values differ'
    least = case.get('int_share')
    slack = 2 if least is not None and expected.dtype == np.uint8 else 0
    share = (np.abs(expected.astype(np.int64) - value.astype(np.int64)) <= slack).mean()
    return None if share >= (1 if least is None else least) else f'{share:.1%} of the integers equal'
