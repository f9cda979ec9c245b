"""Every config of the tree resolves as the reference does, and its model has the reference's parameters."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch.nn as nn
from mmcv import Config
from reference_digests import digest, state_digest

from mmdet.models.builder import build_detector

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts)
REFERENCE = json.loads((ROOT / 'tests/data/config_digests.json').read_text())
# the reference's own file gives a two-stage detector the head of another
REFUSED = {'configs/objects365/retinanet_r50_fpn_syncbn_1350k_obj365v1.py': "does not take 'bbox_head'"}
if find_spec('timm') is None:
    REFUSED |= {path: 'pip install timm' for path in CONFIGS if path.startswith('configs/timm_example')}
KEYS_OF_A_RUN = {'model', 'data', 'optimizer', 'lr_config', 'runner', 'checkpoint_config', 'log_config'}


def without_checkpoints(node):
    """A model config with nothing to download."""
    if isinstance(node, dict):
        drop = ('init_cfg',) if (node.get('init_cfg') or {}).get('type') == 'Pretrained' else ()
        drop += ('teacher_ckpt',)
        return {k: None if k in drop else without_checkpoints(v) for k, v in node.items()}
    return type(node)(map(without_checkpoints, node)) if isinstance(node, (list, tuple)) else node


@pytest.fixture(autouse=True)
def no_random_numbers(monkeypatch):
    """Building is what is tested, not the initial values, which take long to draw."""
    for name in dir(nn.init):
        if name.endswith('_') and not name.startswith('_'):
            monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


def plain(node):
    """mmcv's config containers as plain ones."""
    if isinstance(node, dict):
        return {k: plain(v) for k, v in node.items()}
    return type(node)(map(plain, node)) if isinstance(node, (list, tuple)) else node


@pytest.mark.parametrize('path', [p for p in CONFIGS if not p.startswith('configs/common') and p not in REFUSED])
def test_config_resolves_and_its_model_builds(path):
    cfg = Config.fromfile(ROOT / path)
    assert set(cfg) >= KEYS_OF_A_RUN
    model = build_detector(Config(dict(model=without_checkpoints(cfg.model.to_dict()))).model)
    assert type(model).__name__ == cfg.model.type
    if 'state' in REFERENCE.get(path, {}):
        rows = [(key, tensor.shape, str(tensor.dtype)[6:]) for key, tensor in model.state_dict().items()]
        assert state_digest(rows) == REFERENCE[path]['state']


@pytest.mark.parametrize('path', REFUSED)
def test_config_whose_model_cannot_be_built_says_why(path):
    with pytest.raises((TypeError, ImportError), match=REFUSED[path]):
        build_detector(Config(dict(model=without_checkpoints(Config.fromfile(ROOT / path).model.to_dict()))).model)


@pytest.mark.parametrize('path', REFERENCE)
def test_config_resolves_to_the_reference(path):
    content = plain(Config.fromfile(ROOT / path)._cfg_dict.to_dict())
    assert digest(content) == REFERENCE[path]['content']


def test_digest_tells_lists_from_tuples_and_heeds_no_order_of_keys():
    assert digest(dict(a=1, b=[2])) == digest(dict(b=[2], a=1))
    assert len({digest(v) for v in ([1], (1,), [1.0], ['1'])}) == 4
