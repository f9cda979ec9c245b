"""Runs a whole detector over a made batch and compares losses, gradient norms and detections with golden numbers."""

import contextlib
import copy
import math

import numpy as np
import torch
from filling import fill_buffers, fill_module, make_batch, random_boxes
from mmcv import Config
from programs import seed_everything

from mmdet.core.mask.structures import BitmapMasks
from mmdet.models.builder import build_detector

SAMPLERS_BY_COUNT = {
    'RandomSampler',
    'IoUBalancedNegSampler',
    'InstanceBalancedPosSampler',
    'CombinedSampler',
    'RandomSamplerWithIgnore',
}


def golden_ratio_sequence(count):
    """count values in [0, 1), the same everywhere."""
    return np.mod(0.5 + np.arange(1, count + 1) * 0.6180339887498949, 1.0).astype(np.float32)


@contextlib.contextmanager
def fixed_random(monkeypatch):
    """torch.rand and torch.randperm give fixed sequences, so that no draw depends on the torch version."""

    def rand(*size, device=None, dtype=None, **unused):
        size = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
        values = torch.from_numpy(golden_ratio_sequence(int(np.prod(size)))).reshape(size)
        return values.to(device=device, dtype=dtype or torch.float32)

    def randperm(n, device=None, dtype=None, **unused):
        return torch.arange(n, device=device, dtype=dtype or torch.int64)

    with monkeypatch.context() as patch:
        patch.setattr(torch, 'rand', rand)
        patch.setattr(torch, 'randperm', randperm)
        yield


@contextlib.contextmanager
def no_random_init(monkeypatch):
    """Skip the work of torch.nn.init while building; every value is filled afterwards."""
    with monkeypatch.context() as patch:
        for name in dir(torch.nn.init):
            if name.endswith('_') and not name.startswith('_'):
                patch.setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor)
        yield


def deterministic(node):
    """A model config without checkpoints whose samplers drop nothing."""
    if isinstance(node, dict):
        node = {key: deterministic(value) for key, value in node.items()}
        if isinstance(node.get('init_cfg'), dict) and node['init_cfg'].get('type') == 'Pretrained':
            node['init_cfg'] = None
        if node.get('type') in SAMPLERS_BY_COUNT:
            node['num'] = 1000000
        return node
    return type(node)(deterministic(v) for v in node) if isinstance(node, (list, tuple)) else node


def plain(value):
    """JSON content with ``{"__tuple__": [...]}`` turned into tuples."""
    if isinstance(value, dict):
        return (
            tuple(plain(v) for v in value['__tuple__'])
            if '__tuple__' in value
            else {k: plain(v) for k, v in value.items()}
        )
    return [plain(v) for v in value] if isinstance(value, list) else value


def edited_model(config_file, edits):
    """The ``model`` section of a config after edits of the form [dotted path, value]."""
    content = Config.fromfile(config_file)._cfg_dict.to_dict()
    for path, value in edits:
        *parents, last = path.split('.')
        node = content
        for piece in parents:
            node = node[int(piece)] if isinstance(node, (list, tuple)) else node[piece]
        if value == '__delete__':
            node.pop(last, None)
        else:
            node[int(last) if isinstance(node, list) else last] = plain(copy.deepcopy(value))
    return Config(dict(model=deterministic(content['model']))).model


def drop_nothing(model):
    """No dropout and no stochastic depth: the draws of the reference are not known."""
    for module in model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
        if isinstance(getattr(module, 'drop_prob', None), (int, float)):
            module.drop_prob = 0.0


def build(case, config_file, monkeypatch):
    with no_random_init(monkeypatch):
        model = build_detector(edited_model(config_file, case['edits']))
    drop_nothing(model)
    return fill_module(model, case['fill']['seed'], case['fill']['gain'], case['fill']['rules'])


def inputs(case):
    batch = make_batch(**case['input'])
    height, width = batch['img'].shape[-2:]
    for meta, extra in zip(batch['img_metas'], case.get('metas', [])):
        meta.update(extra)
    given = dict(img=batch['img'], img_metas=batch['img_metas'])
    for key in case['train_keys']:
        if key == 'gt_masks':
            given[key] = [BitmapMasks(m, height, width) for m in batch[key]]
        elif key == 'proposals':
            given[key] = made_proposals(batch['gt_bboxes'], height, width)
        else:
            given[key] = batch[key]
    return given


def made_proposals(gt_bboxes, height, width):
    """40 random boxes an image, the first of which lie 2 px beside the objects."""
    rng = np.random.default_rng(77)
    proposals = [torch.from_numpy(random_boxes(rng, 40, height - 8, width - 16)) for _ in gt_bboxes]
    for boxes, gts in zip(proposals, gt_bboxes):
        boxes[: len(gts)] = gts + 2.0 if len(gts) else boxes[:0]
    return proposals


def train_once(model, case, monkeypatch):
    """({loss name: value}, {parameter: gradient norm or -1 where there is none})."""
    model.train()
    with fixed_random(monkeypatch):
        losses = model(return_loss=True, **inputs(case))
    values = {k: sum(x.mean() for x in v) if isinstance(v, (list, tuple)) else v.mean() for k, v in losses.items()}
    sum(v for k, v in values.items() if 'loss' in k).backward()
    norms = {n: -1.0 if p.grad is None else float(p.grad.double().norm()) for n, p in model.named_parameters()}
    return {k: float(v.detach()) for k, v in values.items()}, norms


def detect_last(model, case, monkeypatch):
    """(n, 6) detections of the last image, best first: label, x1, y1, x2, y2, score."""
    model.eval()
    given = inputs(case)
    extra = {'proposals': [[given['proposals'][-1]]]} if 'proposals' in case['train_keys'] else {}
    with torch.no_grad(), fixed_random(monkeypatch):
        result = model(
            return_loss=False, rescale=True, img=[given['img'][-1:]], img_metas=[[given['img_metas'][-1]]], **extra
        )[0]
    result = result[0] if isinstance(result, tuple) else result
    per_class = [np.asarray(result)] if not isinstance(result, list) else result
    rows = [np.concatenate([np.full((len(d), 1), k), d], 1) for k, d in enumerate(map(np.asarray, per_class))]
    rows = np.concatenate(rows)
    return rows[np.argsort(-rows[:, -1], kind='stable')]


def run(case, config_file, monkeypatch):
    seed_everything(11)
    model = build(case, config_file, monkeypatch)
    losses, norms = train_once(model, case, monkeypatch)
    detections = None
    if case.get('test', True):
        fill_buffers(model, case['fill']['seed'])
        detections = detect_last(model, case, monkeypatch)
    return losses, norms, detections


def loss_problems(want, got, tol):
    names = want['loss_names'].tolist()
    zeros = {
        k for k, v in got.items() if k not in names and tol.get('extra_zero') and ('loss' not in k or abs(v) < 1e-6)
    }
    if sorted(set(got) - zeros) != sorted(names):
        return [f'losses {sorted(got)} for {names}']
    near = {
        k: abs(got[k] - v) <= tol['loss_atol'] + tol['loss_rtol'] * abs(v) for k, v in zip(names, want['loss_values'])
    }
    return [f'{k}: {got[k]}' for k, ok in near.items() if not (ok and math.isfinite(got[k]))]


def gradient_problems(want, got, tol):
    names, norms = want['grad_names'].tolist(), want['grad_values'].astype(float)
    if sorted(got) != sorted(names):
        return [f'parameters differ: {sorted(set(got) ^ set(names))[:4]}']
    slack = tol['grad_atol'] * max(norms.max(), 1e-12) + tol['grad_rtol'] * np.abs(norms)
    values = np.maximum([got[n] for n in names], 0)  # no gradient and a zero gradient count as the same
    wrong = np.flatnonzero(np.abs(values - np.maximum(norms, 0)) > slack)
    return [f'gradient of {names[i]}: {values[i]} for {norms[i]}' for i in wrong[:4]]


def detection_problems(want, got, tol):
    """At least ``det_share`` of the wanted detections have a partner: label, score, and boxes within half a pixel."""
    dets = want['test_dets']
    if abs(len(got) - int(want['test_num'])) > max(2, 0.1 * int(want['test_num'])):
        return [f'{len(got)} detections for {int(want["test_num"])}']
    if not len(dets):
        return []
    score_slack = tol['score_atol'] + tol['score_rtol'] * np.abs(dets[:, None, -1])
    partner = (
        (got[None, :, 0] == dets[:, None, 0])
        & (np.abs(got[None, :, -1] - dets[:, None, -1]) <= score_slack)
        & (np.abs(got[None, :, 1:5] - dets[:, None, 1:5]).max(-1) <= 0.5)
    )
    share = partner.any(1).mean()
    return [f'{share:.0%} of the detections found'] if share < tol['det_share'] else []


def problems(want, result, tol):
    losses, norms, detections = result
    found = loss_problems(want, losses, tol) + gradient_problems(want, norms, tol)
    return found + (detection_problems(want, detections, tol) if detections is not None else [])
