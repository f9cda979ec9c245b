"""Export one detector of each family to ONNX and compare its results with those of torch.

    python benchmarks/export_parity.py --out parity.json
    python benchmarks/export_parity.py --results parity.json --table docs/deployment.md

Models are narrow and their weights are random. Results are those of the detector's own test: the number of detections
must be the same, boxes within 0.01 px, scores within 1e-4, on several sizes and batches. The second command writes the
table of the page from what the first one found. A family takes about a minute of one core.
"""

import argparse
import json
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).parent))

from export_families import FAMILIES, Family  # noqa: E402
from mmdet.apis.export import (  # noqa: E402
    ExportError,
    ExportOptions,
    ONNXDetector,
    check_exportable,
    export_detector,
)
from mmdet.models import BACKBONES, build_detector  # noqa: E402
from mmdet.models.backbones import RegNet, ResNet  # noqa: E402
from mmdet.utils.atomic_write import atomic_write  # noqa: E402
from zoo_on_shapes_models import MOST, WIDTH_KNOWN, at_most, mapped, narrowed, without_downloads  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from mmcv import Config, ConfigDict  # noqa: E402
from scipy.optimize import linear_sum_assignment  # noqa: E402
from torch import nn  # noqa: E402

BOX_TOLERANCE, SCORE_TOLERANCE = 0.01, 1e-4  # px, and of scores in [0, 1]
BATCHES = ((1, (256, 320)), (3, (320, 192)))  # images, height and width px
HIGH_SCORE = 0.75  # where a config keeps all that it finds, which a file cannot do: random weights find thousands
ROUNDING = 1e-6  # by which images are multiplied, to see how much random weights make of it
LEAST_EPS = 1e-5  # of batch normalisation, torch's default
SPREAD_OVER = 4  # images of noise that the scores are spread on: those of one may hardly vary, and of the next saturate
LOGITS = -3.0, 1.5  # mean and standard deviation of the class scores, so that random weights find something
LARGEST_LOGIT = 8.0  # at most; of larger ones the sigmoids of classes hardly differ, and rounding chooses the best one
OFFSETS = 0.5  # standard deviation of what shifts boxes, at most: larger ones make results hang on rounding
OFFSET_LAYER = re.compile(r'(_reg|bbox_pred)(\.\d+)?$')
AMONG = 'which classes torch finds the best'
MARKS = '<!-- families -->', '<!-- end of families -->'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--families', nargs='+', choices=list(FAMILIES), default=list(FAMILIES), help='default: all')
    parser.add_argument('--out', help='write what is found to this JSON file, after each family; others in it stay')
    parser.add_argument('--results', help='do not export: read what was found from this file')
    parser.add_argument('--table', help='write the table into this page, between its marks')
    return parser.parse_args(argv)


def narrow_detector(family: Family) -> nn.Module:
    """A narrow detector with random weights, whose features vary and whose scores differ.

    Raises:
        ExportError: it cannot be exported.
    """
    cfg = Config.fromfile(str(ROOT / 'configs' / family.config))
    model = mapped(cfg.model.to_dict(), without_downloads)
    model.pop('teacher_ckpt', None)
    if not family.wide:
        model = narrowed(model, model['backbone']['type'] in WIDTH_KNOWN, factor=8)
    cfg.model = ConfigDict({**mapped(model, lambda node: at_most(node, MOST)), 'train_cfg': None})
    if 'score_thr' in (test := cfg.model.get('test_cfg') or {}) and 'max_per_img' not in test:
        test.score_thr = HIGH_SCORE
    torch.manual_seed(0)
    with shallow_resnets():
        detector = build_detector(cfg.model, test_cfg=cfg.get('test_cfg')).eval()
    detector.cfg, detector.CLASSES = cfg, [str(i) for i in range(_num_classes(detector))]
    check_exportable(detector)
    size = family.size or BATCHES[0][1]
    settle_norms(detector, size)
    spread_scores(detector, size)
    return detector


@contextmanager
def shallow_resnets() -> Iterator[None]:
    """Build ResNets and their relatives with one block a stage: more add time and rounding, but no operator."""
    relatives = {kind for kind in BACKBONES.module_dict.values() if issubclass(kind, ResNet)}
    with ExitStack() as patches:
        for kind in relatives - {RegNet}:  # whose stages follow from its widths
            depths = {depth: (block, (1,) * len(counts)) for depth, (block, counts) in kind.arch_settings.items()}
            patches.enter_context(mock.patch.object(kind, 'arch_settings', depths))
        yield


@torch.no_grad()
def settle_norms(detector: nn.Module, size: tuple[int, int]) -> None:
    """Give batch normalisation the statistics of images of noise, without which deep features hardly vary in space.

    Scores of features that are everywhere the same are tied, and which of tied boxes are kept is anybody's choice.
    """
    norms = [layer for layer in detector.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # averages of all that they see
        norm.eps = norm.eps or LEAST_EPS  # of converted layers 0, which random features without variance do not bear
        norm.train()
    detector(return_loss=False, **batch(2, size))
    for norm in norms:
        norm.eval()


@torch.no_grad()
def spread_scores(detector: nn.Module, size: tuple[int, int]) -> None:
    """Scale the layers that give class scores, and those that shift boxes, by what they give for an image of noise."""
    classes, of_scores = _num_classes(detector), {}
    outputs: dict[nn.Module, list[torch.Tensor]] = {}
    for name, layer in detector.named_modules():
        width = getattr(layer, 'out_channels', getattr(layer, 'out_features', 0))
        whole = isinstance(layer, nn.Conv2d | nn.Linear) and getattr(layer, 'groups', 1) == 1
        scores = 'cls' in name and 0 in (width % classes, width % (classes + 1))
        if whole and (scores or OFFSET_LAYER.search(name)):
            of_scores[layer] = scores
            layer.register_forward_hook(lambda layer, _, output: outputs.setdefault(layer, []).append(output.flatten()))
    detector(return_loss=False, **batch(SPREAD_OVER, size))
    for layer, found in outputs.items():
        layer._forward_hooks.clear()
        _rescale(layer, torch.cat(found), of_scores[layer])


def _rescale(layer: Any, values: torch.Tensor, are_scores: bool) -> None:
    """Change a layer that gave these values so that they are spread as scores, or no more than offsets."""
    if not are_scores:
        layer.weight *= min(1.0, OFFSETS / float(values.std()))
        return
    away = values - values.mean()
    factor = min(LOGITS[1] / float(values.std()), (LARGEST_LOGIT - LOGITS[0]) / float(away.max()))
    layer.weight *= factor
    if layer.bias is not None:
        layer.bias.copy_((layer.bias - values.mean()) * factor + LOGITS[0])


def _num_classes(detector: nn.Module) -> int:
    parts = [getattr(detector, name, None) for name in ('roi_head', 'bbox_head', 'mask_head', 'panoptic_fusion_head')]
    head: Any = next((part for part in parts if part is not None), detector)
    head = getattr(head, 'bbox_head', head)
    head = head[-1] if isinstance(head, nn.ModuleList) else head
    return getattr(head, 'num_things_classes', getattr(head, 'num_classes', 1))


def batch(num: int, size: tuple[int, int]) -> dict[str, list]:
    """Images of noise, of which all but the first have padding."""
    height, width = size
    metas = []
    for i in range(num):
        shape = (height - 9 * i, width - 30 * i, 3)
        metas.append(
            dict(
                img_shape=shape,
                ori_shape=shape,
                pad_shape=(height, width, 3),
                scale_factor=np.ones(4),
                flip=False,
                border=np.zeros(4),  # of CenterNet and CornerNet
            )
        )
    return dict(img=[torch.randn(num, 3, height, width)], img_metas=[metas])


def differences(expected: Any, found: Any) -> dict[str, float]:
    """Number of detections, and the greatest differences between two results of an image."""
    first, second = (result[0] if isinstance(result, tuple) else result for result in (expected, found))
    first, second = ([r] if isinstance(r, np.ndarray) else r for r in (first, second))
    if [len(boxes) for boxes in first] != [len(boxes) for boxes in second]:
        return dict(number=sum(map(len, first)), box=np.inf, score=np.inf, masks=0.0)
    a, b = np.concatenate(first), np.concatenate(second)
    masks = 0.0
    if isinstance(expected, tuple) and expected[1] is not None:
        pairs = [pair for of_class in zip(expected[1], found[1]) for pair in zip(*of_class)]
        masks = max((float((one != other).mean()) for one, other in pairs), default=0.0)
    boxes, scores = matched_differences(a, b)
    return dict(number=len(a), box=float(boxes.max(initial=0)), score=float(scores.max(initial=0)), masks=masks)


def compared(expected: Any, found: Any) -> dict[str, float]:
    """:func:`differences` of all detections, or, where their numbers differ, of those above a gap between scores.

    A threshold or a limit takes one of two detections whose scores differ by rounding. The widest gap among the lower
    half of the scores has none beside it.
    """
    whole = differences(expected, found)
    if np.isfinite(whole['box']):
        return whole
    boxes = expected[0] if isinstance(expected, tuple) else expected
    scores = np.sort(np.concatenate([of_class[:, 4] for of_class in boxes]))
    low = scores[: len(scores) // 2 + 1]
    if len(low) < 2:
        return whole
    widest = np.diff(low).argmax()
    cut = float(low[widest : widest + 2].mean())
    return differences(*(best_of(result, cut) for result in (expected, found)))


def best_of(result: Any, cut: float) -> Any:
    """What a result of an image holds of the detections with at least a score of ``cut``."""
    boxes = result[0] if isinstance(result, tuple) else result
    best = [of_class[:, 4] >= cut for of_class in boxes]
    kept = [of_class[here] for of_class, here in zip(boxes, best)]
    if not isinstance(result, tuple) or result[1] is None:
        return (kept, *result[1:]) if isinstance(result, tuple) else kept
    masks = [[mask for mask, good in zip(of_class, here) if good] for of_class, here in zip(result[1], best)]
    return (kept, masks, *result[2:])


def matched_differences(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences of boxes and of scores (n,) of detections (n, 5), each with the one nearest to it.

    Detections of equal score may come in any order, of which random weights give many.
    """
    boxes, scores = np.abs(a[:, None, :4] - b[None, :, :4]).max(2, initial=0), np.abs(a[:, None, 4] - b[None, :, 4])
    rows = linear_sum_assignment(boxes / BOX_TOLERANCE + scores / SCORE_TOLERANCE)
    return boxes[rows], scores[rows]


@torch.no_grad()
def examine(name: str) -> dict[str, Any]:
    """Export a family and compare."""
    family, started = FAMILIES[name], time.process_time()
    config, fixed = family.config, family.size
    options = ExportOptions(size=fixed or (256, 320), dynamic_size=fixed is None)
    with tempfile.TemporaryDirectory() as folder:
        try:
            detector = narrow_detector(family)
            about = export_detector(detector, f'{folder}/model.onnx', options)
        except ExportError as error:
            return dict(config=config, refused=str(error))
        exported = ONNXDetector(f'{folder}/model.onnx')
        found, rounded = [], []
        for num, size in BATCHES:
            data = batch(num, fixed or size)
            expected = detector(return_loss=False, **data)
            found += map(compared, expected, exported(return_loss=False, **data))
            data['img'] = [data['img'][0] * (1 + ROUNDING)]
            rounded += map(compared, expected, detector(return_loss=False, **data))
    return dict(
        config=config,
        outputs=list(about['outputs']),
        sides=about['side_divisor'],
        seconds=round(time.process_time() - started, 1),
        **{key: max(image[key] for image in found) for key in found[0]},
        **{f'{key}_of_torch': max(image[key] for image in rounded) for key in ('box', 'score')},
    )


def row(name: str, found: dict[str, Any]) -> str:
    """A family's line of the table."""
    if 'refused' in found:
        return f'| {name} | `{found["config"]}` | - | - | {found["refused"]} |'
    equal = found['box'] <= BOX_TOLERANCE and found['score'] <= SCORE_TOLERANCE
    sides = {0: 'one', 1: 'any'}.get(found['sides'], f'multiples of {found["sides"]} px')
    outputs = ', '.join(found['outputs'])
    differs = f'boxes {found["box"]:.1g} px, scores {found["score"]:.1g}'
    if not np.isfinite(found['box']):
        differs = 'other classes are among the best'
    own = found['box'] <= found['box_of_torch'] and found['score'] <= found['score_of_torch']
    if own and not np.isfinite(found['box']):
        verdict = f'cannot be told: rounding alone changes {AMONG}'
        return f'| {name} | `{found["config"]}` | {outputs} | {sides} | {verdict} |'
    verdict = f'equal: {differs}' if equal else f'as torch itself: {differs}' if own else f'differs: {differs}'
    return f'| {name} | `{found["config"]}` | {outputs} | {sides} | {verdict}, {found["number"]:.0f} detections |'


def write_table(page: Path, results: dict[str, dict[str, Any]]) -> None:
    """Put the table between the marks of a page."""
    lines = ['| family | config | gives | sides | against torch |', '| --- | --- | --- | --- | --- |']
    lines += [row(name, results[name]) for name in FAMILIES if name in results]
    text = page.read_text()
    start, end = text.index(MARKS[0]) + len(MARKS[0]), text.index(MARKS[1])
    with atomic_write(page) as file:
        file.write('\n'.join([text[:start], *lines, text[end:]]))


def main(argv: list[str] | None = None) -> None:
    """Export, compare, write."""
    args = parse_args(argv)
    known = args.results or args.out
    results = json.loads(Path(known).read_text()) if known and Path(known).exists() else {}
    if not args.results:
        warnings.simplefilter('ignore')
        for name in args.families:
            results[name] = examine(name)
            print(row(name, results[name]), flush=True)
            if args.out:
                with atomic_write(args.out) as file:
                    json.dump(results, file, indent=1)
    if args.table:
        write_table(Path(args.table), results)


if __name__ == '__main__':
    main()
