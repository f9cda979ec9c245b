"""What code written for mmdetection 2.28 reads: names of packages, attributes and methods of objects.

``tests/data/surface.json.gz`` lists them; it was made from objects that the public configs build.
"""

import gzip
import importlib
import inspect
import json
from pathlib import Path

import pytest
import torch.nn as nn
from mmcv import Config

from mmdet.core.bbox.builder import build_assigner, build_bbox_coder, build_sampler
from mmdet.core.bbox.match_costs.builder import build_match_cost
from mmdet.models import build_backbone, build_detector, build_head, build_loss
from mmdet.models.utils import DyReLU

ROOT = Path(__file__).resolve().parents[1]
with gzip.open(ROOT / 'tests/data/surface.json.gz', 'rt') as _file:
    SURFACE = json.load(_file)

# not there, see docs/migrating.md: exporting to ONNX
LEFT_OUT = {'mmdet.core.export'}
IOU_THRESHOLDS = dict(pos_iou_thr=0.5, neg_iou_thr=0.5)
# classes that no config of the tree uses
BUILT_ALONE = [
    (build_backbone, dict(type='Darknet')),
    (build_backbone, dict(type='HourglassNet')),
    (build_backbone, dict(type='CSPDarknet')),
    (build_assigner, dict(type='GridAssigner', **IOU_THRESHOLDS)),
    (build_assigner, dict(type='AscendMaxIoUAssigner', **IOU_THRESHOLDS)),
    (build_assigner, dict(type='PointAssigner')),
    (build_assigner, dict(type='SimOTAAssigner')),
    (build_assigner, dict(type='TaskAlignedAssigner', topk=13)),
    (build_assigner, dict(type='UniformAssigner', pos_ignore_thr=0.15, neg_ignore_thr=0.7)),
    (build_assigner, dict(type='MaskHungarianAssigner')),
    (build_sampler, dict(type='MaskPseudoSampler')),
    (build_bbox_coder, dict(type='YOLOBBoxCoder')),
    (build_match_cost, dict(type='CrossEntropyLossCost')),
    (build_match_cost, dict(type='DiceCost')),
    (build_loss, dict(type='GaussianFocalLoss')),
    (build_loss, dict(type='VarifocalLoss')),
    (build_loss, dict(type='AssociativeEmbeddingLoss')),
    (build_head, dict(type='MaskFormerFusionHead')),
]
CONFIGS = [path for path in SURFACE['configs'] if (ROOT / 'configs' / path).exists()]
SWIN = 'swin/mask_rcnn_swin-t-p4-w7_fpn_1x_coco.py'


@pytest.mark.parametrize('package', sorted(set(SURFACE['faces']) - LEFT_OUT))
def test_package_shows_every_name(package):
    module = importlib.import_module(package)
    assert not {name for name in SURFACE['faces'][package] if not hasattr(module, name)}


def test_models_name_what_their_packages_name():
    import mmdet.models as models
    from mmdet.models import necks

    assert set(necks.__all__) <= set(models.__all__)
    assert models.FPN is necks.FPN
    assert 'RetinaHead' in dir(models)
    with pytest.raises(AttributeError, match="did you mean 'RetinaHead'"):
        models.RetinaHaed  # noqa: B018 - the look-up is what is tested


@pytest.mark.parametrize(
    'module, names',
    [
        ('mmdet.datasets.coco_panoptic', 'INSTANCE_OFFSET VOID id2rgb'),
        ('mmdet.datasets.builder', 'GroupSampler DistributedGroupSampler DistributedSampler ClassAwareSampler'),
        ('mmdet.datasets.utils', 'LoadImageFromFile LoadAnnotations LoadPanopticAnnotations'),
        ('mmdet.apis.train', 'replace_ImageToTensor'),
        ('mmdet.models.utils.builder', 'TRANSFORMER LINEAR_LAYERS'),
    ],
)
def test_module_shows_what_it_uses_in_2x(module, names):
    assert all(hasattr(importlib.import_module(module), name) for name in names.split())


def public(obj):
    names = {name for name in vars(obj) if not name.startswith('_')}
    return names.union(*(vars(obj).get(box) or {} for box in ('_modules', '_parameters', '_buffers')))


def visit(obj, seen, found):
    """Names of all objects of this package below ``obj``, by class; a class has those of its subclasses' objects."""
    if id(obj) in seen:
        return
    seen.add(id(obj))
    cls = type(obj)
    if cls.__module__.startswith('mmdet'):
        for base in cls.__mro__:
            if base.__module__.startswith('mmdet'):
                found.setdefault(base.__name__, (set(), base))
        found[cls.__name__][0].update(public(obj))
        for value in list(vars(obj).values()):
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if type(item).__module__.startswith('mmdet'):
                    visit(item, seen, found)
    for child in filter(None, vars(obj).get('_modules', {}).values()):
        visit(child, seen, found)


@pytest.fixture(scope='module')
def found():
    """Class name -> (names of its objects, the class)."""
    names, keep = {}, []  # ids of objects are compared, so none may go
    with pytest.MonkeyPatch.context() as patch:
        for name in dir(nn.init):
            if name.endswith('_') and not name.startswith('_'):
                patch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)
        for path in [*CONFIGS, SWIN]:
            keep.append(build_detector(Config.fromfile(ROOT / 'configs' / path).model))
        keep += [build(cfg) for build, cfg in BUILT_ALONE]
        keep.append(DyReLU(8))
    for obj in keep:
        visit(obj, set(), names)
    return {name: entry for name, entry in names.items() if entry[0]}


# names of objects that other objects hold: of blocks in longer rows, of a part that some heads have
OF_LARGER_MODELS = {'ResLayer': {*map(str, range(4, 23))}}


def test_objects_carry_every_attribute_and_method(found):
    lost = {}
    for name, expected in SURFACE['classes'].items():
        if name not in found:
            continue
        have, cls = found[name]
        wanted = {*expected['attrs'], *expected['methods']} - OF_LARGER_MODELS.get(name, set())
        missing = sorted(w for w in wanted if w not in have and not hasattr(cls, w))
        if missing:
            lost[name] = missing
    assert lost == {}


def test_methods_take_the_arguments_that_2x_names(found):
    lost = {}
    for name in sorted(set(SURFACE['classes']) & set(found)):
        for method, wanted in SURFACE['classes'][name]['methods'].items():
            ours = inspect.getattr_static(found[name][1], method, None)
            ours = getattr(ours, '__func__', ours)
            if wanted == 'property' or not inspect.isfunction(ours):
                continue
            takes = inspect.signature(inspect.unwrap(ours)).parameters
            if any(p.kind is p.VAR_KEYWORD for p in takes.values()):
                continue
            missing = [p for p in wanted if p not in takes and p not in ('args', 'kwargs')]
            if missing:
                lost[f'{name}.{method}'] = missing
    assert lost == {}


def test_numbers_of_objects_are_those_of_2x(found):
    """Attributes that are plain numbers, texts or None in the list, of classes whose only config is the one listed."""
    head = build_head(
        dict(
            type='SABLHead',
            num_classes=80,
            bbox_coder=dict(type='BucketingBBoxCoder', num_buckets=14, scale_factor=1.7),
        )
    )
    expected = SURFACE['classes']['SABLHead']['attrs']
    numbers = {name: value for name, value in expected.items() if isinstance(value, (int, type(None)))}
    assert len(numbers) > 15
    assert {name: getattr(head, name) for name in numbers} == numbers


def test_export_is_refused_by_name(found):
    for name in ('SOLOHead', 'YOLACT'):
        with pytest.raises(NotImplementedError, match='cannot be exported to ONNX; docs/deployment.md'):
            found[name][1].onnx_export(None)
