"""The tools of ``tools/model_converters``: each as one process, and what they make against models of the tree."""

import hashlib
import pickle
import runpy
import sys

import numpy as np
import pytest
import torch
from tool_process import ROOT, run_tool

from mmdet.apis.converting import renamed
from mmdet.models.backbones import RegNet, ResNet

CONVERTERS = 'tools/model_converters'


def weights(path):
    return torch.load(path, weights_only=True)['state_dict']


def counted(model):
    """Names of a backbone's tensors that files of other packages have too."""
    return {name for name in model.state_dict() if not name.endswith('num_batches_tracked')}


def test_publish_model_leaves_out_the_training_and_names_the_hash(world, tmp_path):
    run_tool(f'{CONVERTERS}/publish_model.py', world / 'weights.pth', tmp_path / 'x.pth')
    (path,) = tmp_path.glob('*.pth')
    assert path.name == f'x-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth'
    content, before = torch.load(path, weights_only=True), torch.load(world / 'weights.pth', weights_only=True)
    assert set(content) == {'state_dict', 'meta'} and content['meta']['CLASSES'] == ('red', 'green')
    assert all(torch.equal(tensor, before['state_dict'][name]) for name, tensor in content['state_dict'].items())


def test_publish_model_of_a_file_with_objects_needs_trust(tmp_path):
    torch.save(dict(state_dict={'a': torch.ones(1)}, meta=dict(path=tmp_path)), tmp_path / 'old.pth')
    command = (f'{CONVERTERS}/publish_model.py', tmp_path / 'old.pth', tmp_path / 'new')
    assert '--trust-checkpoint' in run_tool(*command, check=False).error
    run_tool(*command, '--trust-checkpoint')
    (path,) = tmp_path.glob('new-*.pth')
    assert torch.load(path, weights_only=True)['meta'] == dict(path=str(tmp_path))


def pycls_name(name):
    """The name in pycls of a tensor of ``RegNet``, written the other way round than the converter."""
    first, *rest = name.split('.')
    if not first.startswith('layer'):
        return name.replace('conv1', 'stem.conv').replace('bn1', 'stem.bn')
    block, part, *tail = rest
    prefix = f's{first[5:]}.b{int(block) + 1}'
    if part == 'downsample':
        return '.'.join([prefix, 'proj' if tail[0] == '0' else 'bn', *tail[1:]])
    letter = 'abc'[int(part[-1]) - 1]
    return '.'.join([prefix, 'f', letter if part.startswith('conv') else f'{letter}_bn', *tail])


def test_regnet2mmdet_gives_every_tensor_of_the_backbone(tmp_path):
    model = RegNet('regnetx_400mf')
    state = {name: tensor for name, tensor in model.state_dict().items() if name in counted(model)}
    source = {pycls_name(name): tensor for name, tensor in state.items()}
    torch.save(dict(model_state={**source, 'head.fc.weight': torch.ones(1)}), tmp_path / 'a.pyth')
    done = run_tool(f'{CONVERTERS}/regnet2mmdet.py', tmp_path / 'a.pyth', tmp_path / 'b.pth')
    made = weights(tmp_path / 'b.pth')
    assert set(made) == set(state) and all(torch.equal(made[name], state[name]) for name in state)
    assert 'left out: head.fc.weight' in done.text


@pytest.mark.parametrize('kind, prefix', [('moco', 'module.encoder_q.'), ('swav', 'module.')])
def test_selfsup2mmdet_keeps_the_encoder_only(kind, prefix, tmp_path):
    names = ('conv1.weight', 'bn1.running_mean', 'layer1.0.conv1.weight', 'layer4.2.bn3.bias')
    source = {prefix + name: torch.full((2,), float(i)) for i, name in enumerate(names)}
    others = ('module.encoder_k.conv1.weight', 'module.queue', prefix + 'fc.0.weight', 'module.prototypes.weight')
    torch.save(dict(state_dict={**source, **dict.fromkeys(others, torch.ones(1))}), tmp_path / 'a.pth')
    command = (f'{CONVERTERS}/selfsup2mmdet.py', tmp_path / 'a.pth', tmp_path / 'b.pth')
    run_tool(*command, '--selfsup', kind)
    made = weights(tmp_path / 'b.pth')
    assert {name: tensor[0].item() for name, tensor in made.items()} == {name: i for i, name in enumerate(names)}


def caffe2_blobs(model):
    """The blobs of Detectron that the backbone has been trained from."""
    blobs = {}
    for name, tensor in model.state_dict().items():
        if name.endswith(('weight', 'bias')):
            kind = {('conv', 'weight'): '_w', ('bn', 'weight'): '_bn_s', ('bn', 'bias'): '_bn_b'}
            first, *rest = name.split('.')
            if first == 'conv1':
                blob = 'conv1_w'
            elif first == 'bn1':
                blob = 'res_conv1' + kind['bn', rest[-1]]
            else:
                stem = f'res{int(first[5:]) + 1}_{rest[0]}_branch'
                if rest[1] == 'downsample':
                    blob = stem + '1' + kind['conv' if rest[2] == '0' else 'bn', rest[-1]]
                else:
                    blob = stem + '2' + 'abc'[int(rest[1][-1]) - 1] + kind[rest[1][:-1], rest[-1]]
            blobs[blob] = tensor.numpy()
    return blobs


def test_detectron2pytorch_gives_every_tensor_of_the_backbone(tmp_path):
    model = ResNet(50, base_channels=2, stem_channels=2)
    blobs = {**caffe2_blobs(model), 'pred_w': np.ones(2), 'conv1_w_momentum': np.ones(2)}
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(dict(blobs=blobs), protocol=2))
    run_tool(f'{CONVERTERS}/detectron2pytorch.py', tmp_path / 'a.pkl', tmp_path / 'b.pth', 50)
    made, state = weights(tmp_path / 'b.pth'), model.state_dict()
    assert set(made) == counted(model) and all(torch.equal(made[name], state[name]) for name in made)


class Evil:
    def __reduce__(self):
        return print, ('it ran',)


def test_detectron2pytorch_runs_nothing_from_the_file(tmp_path):
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(dict(blobs=Evil())))
    done = run_tool(
        *(f'{CONVERTERS}/detectron2pytorch.py', tmp_path / 'a.pkl', tmp_path / 'b.pth', 50),
        check=False,
    )
    assert 'a.pkl: the file wants to run' in done.error and 'it ran' not in done.text


def test_upgrade_ssd_version_renames_to_the_neck(tmp_path):
    names = {
        'backbone.l2_norm.weight': 'neck.l2_norm.weight',
        'backbone.extra.0.weight': 'neck.extra_layers.0.0.conv.weight',
        'backbone.extra.3.bias': 'neck.extra_layers.1.1.conv.bias',
        'bbox_head.cls_convs.2.weight': 'bbox_head.cls_convs.2.0.weight',
        'bbox_head.reg_convs.0.0.bias': 'bbox_head.reg_convs.0.0.bias',
        'backbone.features.0.weight': 'backbone.features.0.weight',
    }
    torch.save(dict(state_dict={n: torch.ones(1) for n in names}, meta=dict(epoch=3)), tmp_path / 'a.pth')
    run_tool(f'{CONVERTERS}/upgrade_ssd_version.py', tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert set(weights(tmp_path / 'b.pth')) == set(names.values())
    assert torch.load(tmp_path / 'b.pth', weights_only=True)['meta'] == dict(epoch=3)


def test_upgrade_model_version_moves_and_drops_the_background(tmp_path):
    rows = torch.arange(12.0)[:, None]
    old = {
        'rpn_head.rpn_cls.weight': rows[:3],
        'bbox_head.0.fc_cls.weight': rows[:3],
        'bbox_head.0.fc_reg.bias': torch.arange(12.0),
        'mask_head.conv_logits.bias': torch.arange(3.0),
    }
    torch.save(dict(state_dict=old), tmp_path / 'a.pth')
    command = (f'{CONVERTERS}/upgrade_model_version.py', tmp_path / 'a.pth', tmp_path / 'b.pth')
    run_tool(*command, '--num-classes', 3)
    new = {name: tensor.flatten().tolist() for name, tensor in weights(tmp_path / 'b.pth').items()}
    assert new == {
        'rpn_head.rpn_cls.weight': [0, 1, 2],
        'roi_head.bbox_head.0.fc_cls.weight': [1, 2, 0],
        'roi_head.bbox_head.0.fc_reg.bias': [4, 5, 6, 7, 8, 9, 10, 11],
        'roi_head.mask_head.conv_logits.bias': [1, 2],
    }


def test_upgrade_model_version_of_one_stage_heads(tmp_path):
    old = {
        'bbox_head.cls_convs.0.weight': torch.arange(6.0),  # SSD: 2 anchors of 3 classes
        'bbox_head.cls_convs.0.conv.weight': torch.arange(3.0),  # a layer before the last one
        'bbox_head.fcos_cls.weight': torch.arange(3.0),
        'bbox_head.fcos_centerness.bias': torch.zeros(1),
    }
    torch.save(dict(state_dict=old), tmp_path / 'a.pth')
    command = (f'{CONVERTERS}/upgrade_model_version.py', tmp_path / 'a.pth', tmp_path / 'b.pth')
    run_tool(*command, '--num-classes', 3)
    new = {name: tensor.tolist() for name, tensor in weights(tmp_path / 'b.pth').items()}
    assert new == {
        'bbox_head.cls_convs.0.weight': [1, 2, 0, 4, 5, 3],
        'bbox_head.cls_convs.0.conv.weight': [0, 1, 2],
        'bbox_head.conv_cls.weight': [0, 1, 2],
        'bbox_head.conv_centerness.bias': [0],
    }


def test_renamed_takes_the_first_rule_that_fits_a_whole_name():
    rules = ((r'a\.(\d+)', r'b\1'), (r'a\..*', 'c'))
    made = renamed({'a.1': torch.zeros(1), 'a.x': torch.ones(1), 'za.1': torch.ones(1)}, rules)
    assert list(made) == ['b1', 'c']


def test_weights_of_another_kind_are_refused(tmp_path):
    torch.save(dict(state_dict={'x': torch.ones(1)}), tmp_path / 'a.pth')
    done = run_tool(*(f'{CONVERTERS}/regnet2mmdet.py', tmp_path / 'a.pth', tmp_path / 'b.pth'), check=False)
    assert 'no weight has a name that is known here' in done.error and not (tmp_path / 'b.pth').exists()


def test_publish_model_replaces_no_other_file(world, tmp_path):
    content = (world / 'weights.pth').read_bytes()
    (tmp_path / 'x.pth').write_bytes(content)
    run_tool(f'{CONVERTERS}/publish_model.py', tmp_path / 'x.pth', tmp_path / 'x.pth')
    assert (tmp_path / 'x.pth').read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 2
    torch.save(dict(state_dict={}, meta={}), tmp_path / 'none.pth')
    done = run_tool(f'{CONVERTERS}/publish_model.py', tmp_path / 'none.pth', tmp_path / 'y', check=False)
    assert 'none.pth has no weights' in done.error


SCORES = {'bbox_head.fc_cls.weight': torch.zeros(21, 2)}
REFUSED = [
    ('upgrade_model_version', SCORES, '', 'bbox_head.fc_cls.weight has 21 outputs, which --num-classes 81 do not'),
    (
        'upgrade_model_version',
        {f'roi_head.{name}': tensor for name, tensor in SCORES.items()},
        '--num-classes 21',
        'of 2.x already',
    ),
    ('upgrade_ssd_version', SCORES, '', 'there is nothing to rename'),
    ('detectron2_to_mmdet', {}, '', 'holds no model|no weight of a detector'),
    *(
        (tool, SCORES, f'SAME {options}', 'a.pth is the input, which would be replaced')
        for tool, options in (
            ('upgrade_model_version', '--num-classes 21'),
            ('upgrade_ssd_version', ''),
            ('regnet2mmdet', ''),
            ('selfsup2mmdet', '--selfsup moco'),
            ('detectron2pytorch', '50'),
            ('torchvision2mmdet', ''),
            ('detectron2_to_mmdet', ''),
            ('mmdet3_to_mmdet', ''),
        )
    ),
]


@pytest.mark.parametrize(('tool', 'content', 'options', 'text'), REFUSED)
def test_weights_that_do_not_fit_a_converter_are_refused(tmp_path, monkeypatch, tool, content, options, text):
    source, out = tmp_path / 'a.pth', tmp_path / 'b.pth'
    torch.save(dict(state_dict=content, meta={}), source)
    before = source.read_bytes()
    target = source if 'SAME' in options else out
    script = ROOT / CONVERTERS / f'{tool}.py'
    monkeypatch.setattr(sys, 'argv', [str(script), str(source), str(target), *options.replace('SAME', '').split()])
    with pytest.raises(SystemExit, match=text):
        runpy.run_path(str(script), run_name='__main__')
    assert source.read_bytes() == before and not out.exists()


def test_converting_a_config_of_mmdetection_3_names_what_is_wrong(tmp_path):
    script = f'{CONVERTERS}/mmdet3_to_mmdet.py'
    for text, expected in (
        ('model = (\n', 'mine.py cannot be read'),
        ("model = dict(type='RetinaNet')\n", "no 'train_dataloader'"),
    ):
        (tmp_path / 'mine.py').write_text(text)
        assert expected in run_tool(script, tmp_path / 'mine.py', tmp_path / 'out.py', check=False).error
    torch.save(dict(state_dict={}), tmp_path / 'a.pth')
    (tmp_path / 'mine.py').write_text('a = 1\n')
    options = ('--config', tmp_path / 'mine.py')
    done = run_tool(script, tmp_path / 'a.pth', tmp_path / 'b.pth', *options, check=False)
    assert 'mine.py: the config has no model' in done.error
