"""Nothing depends on what is imported first: mmdet or mmcv.ops, any module of ours, mmcv compiled or not.

Each check runs in a process of its own, or in a fork of one that has imported torch and mmcv alone.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMPILED = 'import tests.compiled_mmcv\n'

# every way to ask for a layer gives the one of mmdet, which is one of mmcv's class of the same name as well
CHECK_LAYERS = """
import mmcv.ops, mmdet.ops as ours
from mmcv.cnn import build_conv_layer, build_norm_layer, build_upsample_layer
from mmcv.cnn.bricks.transformer import build_attention
import torch

built = dict(
    DeformConv2dPack=build_conv_layer(dict(type='DCN'), 2, 3, 3, padding=1),
    ModulatedDeformConv2dPack=build_conv_layer(dict(type='DCNv2'), 2, 3, 3, padding=1),
    SAConv2d=build_conv_layer(dict(type='SAC', use_deform=True), 2, 3, 3, padding=1),
    MaskedConv2d=build_conv_layer(dict(type='MaskedConv2d'), 2, 3, 3, padding=1),
    CARAFEPack=build_upsample_layer(dict(type='carafe'), channels=2, scale_factor=2),
    MultiScaleDeformableAttention=build_attention(dict(type='MultiScaleDeformableAttention')),
    RoIAlign=ours.RoIAlign(2), RoIPool=ours.RoIPool(2), SimpleRoIAlign=ours.SimpleRoIAlign(2, 1.0),
    DeformRoIPool=ours.DeformRoIPool(2), DeformRoIPoolPack=ours.DeformRoIPoolPack(2, 4, 8),
    ModulatedDeformRoIPoolPack=ours.ModulatedDeformRoIPoolPack(2, 4, 8), CARAFE=ours.CARAFE(3, 1, 2),
    CornerPool=ours.CornerPool('top'), RoIAlignRotated=ours.RoIAlignRotated(2, 1.0),
    SigmoidFocalLoss=ours.SigmoidFocalLoss(2.0, 0.25),
    SoftmaxFocalLoss=ours.SoftmaxFocalLoss(2.0, 0.25),
)
for name, layer in built.items():
    assert type(layer) is getattr(ours, name), (name, type(layer))
    assert isinstance(layer, getattr(mmcv.ops, name)), name
    methods = layer.forward, layer.__repr__, layer.__init__
    assert not any(method.__module__.startswith('mmcv.ops') for method in methods), name
assert isinstance(built['DeformConv2dPack'], mmcv.ops.DeformConv2d)
assert isinstance(built['ModulatedDeformConv2dPack'], mmcv.ops.ModulatedDeformConv2d)
x = torch.rand(1, 2, 6, 6)
for name in ('DeformConv2dPack', 'ModulatedDeformConv2dPack', 'SAConv2d'):
    assert built[name](x).shape == (1, 3, 6, 6)
assert built['CARAFEPack'](x).shape == (1, 2, 12, 12)
_, norm = build_norm_layer(dict(type='MMSyncBN'), 2)
assert type(norm) is ours.MMSyncBN and norm(x).shape == x.shape  # on one process, without a process group
"""


# Reads programs, one a line as JSON, runs each in a fork, and answers with its exit status and what it wrote.
SERVER = """
import json, os, sys, tempfile, traceback
import torch, torchvision, cv2, mmcv

def run(code, log):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
            exec(code, {'__name__': '__main__'})
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

answers = os.fdopen(os.dup(1), 'w')
for line in sys.stdin:
    with tempfile.TemporaryFile('w+') as log:
        status = run(json.loads(line), log)
        log.seek(0)
        print(json.dumps([status, log.read()]), file=answers, flush=True)
"""


@pytest.fixture(scope='module')
def run():
    """A function that runs a program in a process that has imported torch and mmcv alone, and gives what it wrote."""
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'PYTHONWARNINGS': 'ignore'}
    command = [sys.executable, '-c', SERVER]
    with subprocess.Popen(command, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:

        def run_program(code):
            server.stdin.write(json.dumps(code) + '\n')
            server.stdin.flush()
            status, wrote = json.loads(server.stdout.readline())
            assert status == 0, wrote[-3000:]
            return wrote

        yield run_program
        server.stdin.close()


@pytest.mark.parametrize('before', ['import mmdet', 'import mmcv.ops', 'import mmcv.cnn.bricks.transformer'])
def test_layers_of_a_compiled_mmcv_give_way_to_ours(run, before):
    run(f'{COMPILED}{before}\nimport mmdet{CHECK_LAYERS}')


def test_layers_of_the_mmcv_that_is_installed_are_ours(run):
    run(f'import mmdet\n{CHECK_LAYERS}')


def test_ours_are_registered_even_where_nothing_but_mmdet_is_imported(run):
    code = (
        'import mmdet, mmcv.ops\nfrom mmcv.cnn import build_conv_layer\n'
        "assert type(build_conv_layer(dict(type='DCN'), 2, 2, 3)).__module__ == 'mmdet.ops.deform_conv'\n"
    )
    run(COMPILED + code)
    run(code)


def test_layers_of_mmcv_that_users_ask_for_stay_their_own(run):
    run(
        f'{COMPILED}import mmdet, mmcv.ops, torch\n'
        'class Mine(mmcv.ops.RoIAlign):\n    pass\n'
        "assert Mine.forward.__module__ == 'mmcv.ops.roi_align' and mmcv.ops.knn is not None\n"
        "assert mmcv.ops.nms.__module__ == 'mmcv.ops.nms'\n"
    )


def test_code_and_configs_that_know_mmcv_get_along_with_both(run):
    run(
        COMPILED + 'from mmcv.runner import DefaultOptimizerConstructor\n'
        'from mmdet.models.builder import build_roi_extractor\n'
        'from mmdet.ops import DeformConv2dPack\nfrom torch import nn\n'
        "layer = dict(type='PrRoIPool', output_size=7)  # which mmdet does not have\n"
        "pool = build_roi_extractor(dict(type='SingleRoIExtractor', roi_layer=layer, out_channels=4, "
        'featmap_strides=[4])).roi_layers[0]\n'
        "assert type(pool).__module__ == 'mmcv.ops.prroi_pool' and pool.spatial_scale == 0.25\n"
        # mmcv knows deformable layers by their class
        "build = DefaultOptimizerConstructor(dict(type='SGD', lr=1.0), dict(dcn_offset_lr_mult=0.1))\n"
        'groups = build(nn.Sequential(DeformConv2dPack(2, 2, 3))).param_groups\n'
        "assert sorted(group['lr'] for group in groups) == [0.1, 0.1, 1.0]\n"
    )


def test_compiled_operators_for_another_torch_are_named_and_not_used(run):
    broken = (
        'import sys\nfrom importlib.abc import Loader, MetaPathFinder\n'
        'from importlib.machinery import ModuleSpec\n'
        'class Broken(MetaPathFinder, Loader):\n'
        '    def find_spec(self, name, path, target=None):\n'
        "        return ModuleSpec(name, self) if name == 'mmcv._ext' else None\n"
        '    def exec_module(self, module):\n'
        "        raise ImportError('undefined symbol: _ZN2at')\n"
        'sys.meta_path.insert(0, Broken())\n'
    )
    out = run(
        f'{broken}import warnings\nwith warnings.catch_warnings(record=True) as caught:\n'
        "    warnings.simplefilter('always')\n    import mmdet\n"
        'import mmdet.ops\nfrom mmcv.cnn import build_conv_layer\n'
        "assert type(build_conv_layer(dict(type='DCN'), 2, 2, 3)) is mmdet.ops.DeformConv2dPack\n"
        "print([str(w.message) for w in caught if 'compiled' in str(w.message)])\n"
    )
    assert 'undefined symbol: _ZN2at' in out and 'Build mmcv-full again' in out


# Python imports the packages of a module before the module. So a module that its package has loaded by then is first
# in the same way as the package is; what is left is imported in a fork of the process that has imported its package.
IMPORT_EACH = """
import importlib, os, sys, traceback

def fails_in_fork(name):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            visit(name)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0

def check():
    import mmcv.ops, mmdet.ops
    from mmcv.cnn.bricks.registry import CONV_LAYERS, UPSAMPLE_LAYERS
    assert CONV_LAYERS.get('DCN') is mmdet.ops.DeformConv2dPack and CONV_LAYERS.get('SAC') is mmdet.ops.SAConv2d
    assert UPSAMPLE_LAYERS.get('carafe') is mmdet.ops.CARAFEPack

def visit(name):
    importlib.import_module(name)
    inside = [m for m in MODULES if m.rpartition('.')[0] == name]
    packages = {m.rpartition('.')[0] for m in MODULES}
    failed = [m for m in inside if (m not in sys.modules or m in packages) and fails_in_fork(m)]
    check()
    if failed:
        raise SystemExit('cannot be imported first: ' + ', '.join(failed))

visit('mmdet')
"""


def public_modules():
    paths = sorted((ROOT / 'mmdet').rglob('*.py'))
    names = ['.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__') for path in paths]
    return [name for name in names if not any(part.startswith('_') for part in name.split('.'))]


@pytest.mark.parametrize('before', ['', 'import mmcv.ops'], ids=['ours first', 'mmcv.ops first'])
def test_every_module_can_be_imported_first(run, before):
    modules = public_modules()
    assert len(modules) > 300
    run(f'{COMPILED}{before}\nMODULES = {modules}\n{IMPORT_EACH}')
