"""Time a training step and inference of Faster R-CNN R50-FPN against torchvision's model of the same architecture.

    python benchmarks/speed.py --device cpu --size 320 --batch 2 --runs 5

Both sides get the same images and boxes in one process, in turn (A B A B ...), so that a drift of the machine's speed
meets both; the table gives medians and the ratio of each pair. Weights are random: speed does not depend on them, but
the number of proposals does, so it is set alike.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from mmcv import Config
from torchvision.models.detection import fasterrcnn_resnet50_fpn

from mmdet.models import build_detector

CONFIG = Path(__file__).resolve().parents[1] / 'configs' / 'faster_rcnn' / 'faster_rcnn_r50_fpn_1x_coco.py'


def made_batch(batch: int, size: int, boxes: int, device: str) -> tuple[torch.Tensor, list, list]:
    """Images (B, 3, S, S), and for each image boxes (n, 4) xyxy px and labels (n,)."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, size, size, generator=generator)
    corners = torch.rand(batch, boxes, 2, generator=generator) * size * 0.6
    sides = (0.1 + 0.3 * torch.rand(batch, boxes, 2, generator=generator)) * size
    gt_bboxes = torch.cat([corners, corners + sides], -1).to(device)
    labels = torch.randint(0, 80, (batch, boxes), generator=generator).to(device)
    return images.to(device), list(gt_bboxes), list(labels)


def own_model(device: str) -> tuple[torch.nn.Module, Callable, Callable]:
    """This package's model, its training step and its inference."""
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.init_cfg = None
    model = build_detector(cfg.model).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def metas(images: torch.Tensor) -> list[dict]:
        shape = (*images.shape[-2:], 3)
        one = dict(img_shape=shape, pad_shape=shape, ori_shape=shape, scale_factor=1.0, flip=False, filename='made')
        return [dict(one, batch_input_shape=shape[:2]) for _ in images]

    def train(images: torch.Tensor, gt_bboxes: list, labels: list) -> None:
        model.train()
        batch = dict(img=images, img_metas=metas(images), gt_bboxes=gt_bboxes, gt_labels=labels)
        optimizer.zero_grad(set_to_none=True)
        model.train_step(batch, optimizer)['loss'].backward()
        optimizer.step()

    @torch.no_grad()
    def infer(images: torch.Tensor, gt_bboxes: list, labels: list) -> None:
        model.eval()
        model(img=[images], img_metas=[metas(images)], return_loss=False, rescale=True)

    return model, train, infer


def torchvision_model(device: str, size: int) -> tuple[torch.nn.Module, Callable, Callable]:
    """torchvision's model with the same proposal counts, its training step and its inference."""
    model = fasterrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=81,
        min_size=size,
        max_size=size,
        rpn_pre_nms_top_n_train=2000,
        rpn_post_nms_top_n_train=1000,
        rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_test=1000,
    ).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def train(images: torch.Tensor, gt_bboxes: list, labels: list) -> None:
        model.train()
        targets = [dict(boxes=b, labels=k + 1) for b, k in zip(gt_bboxes, labels)]
        optimizer.zero_grad(set_to_none=True)
        sum(model(list(images), targets).values()).backward()
        optimizer.step()

    @torch.no_grad()
    def infer(images: torch.Tensor, gt_bboxes: list, labels: list) -> None:
        model.eval()
        model(list(images))

    return model, train, infer


def seconds(call: Callable, batch: tuple, device: str) -> float:
    """Wall seconds of one call, the device's queue included."""
    if device != 'cpu':
        torch.cuda.synchronize()
    start = time.perf_counter()
    call(*batch)
    if device != 'cpu':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def compare(name: str, own: Callable, other: Callable, batch: tuple, device: str, runs: int) -> str:
    """One row of the table: medians of both sides and of their ratio, pair by pair."""
    for call in (own, other):
        call(*batch)
    pairs = [(seconds(own, batch, device), seconds(other, batch, device)) for _ in range(runs)]
    a, b = (statistics.median(side) for side in zip(*pairs))
    ratio = statistics.median(x / y for x, y in pairs)
    return f'| {name} | {a:.3f} | {b:.3f} | {ratio:.2f} | {len(batch[0]) / a:.2f} |'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--size', type=int, default=320, help='side of the square images in px, a multiple of 32')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--boxes', type=int, default=10, help='objects of each image')
    parser.add_argument('--runs', type=int, default=5, help='counted pairs after one warm-up')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    batch = made_batch(args.batch, args.size, args.boxes, args.device)
    _, own_train, own_infer = own_model(args.device)
    _, other_train, other_infer = torchvision_model(args.device, args.size)
    threads = torch.get_num_threads()
    print(f'torch {torch.__version__}, {args.device}, {threads} threads, {args.size} px, batch {args.batch}')
    print('| what | mmdet s | torchvision s | ratio | mmdet images/s |\n| --- | --- | --- | --- | --- |')
    print(compare('training step', own_train, other_train, batch, args.device, args.runs))
    print(compare('inference', own_infer, other_infer, batch, args.device, args.runs))


if __name__ == '__main__':
    main()
