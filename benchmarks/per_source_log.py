"""What ``per_source_log=True`` costs: training steps of one Faster R-CNN with and without it, in turns.

    python benchmarks/per_source_log.py --size 320 --runs 20

Both sides train the same model on the same made batch of two sources; the order within a pair changes from pair to
pair. The table has the medians of both, the median of the pairs' ratios with its quartiles, and, as the ratio drowns
in the noise of a busy machine, the time that the log itself takes: what it notes, the derivatives of the losses and
what it hands to the logger (on a GPU without the work that it leaves in the device's queue).
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from mmdet.models import build_detector
from mmdet.models.source_log import SourceLog

import torch
from mmcv import Config

CONFIG = 'configs/_base_/models/faster_rcnn_r50_fpn.py'
SOURCES = ['real', 'synthetic']
TIMED_RUNS = 3


class TimedLog(SourceLog):
    """Counts the seconds in its own methods; the forward pass inside :meth:`recording` is none of its own."""

    spent = 0.0

    def _timed(self, function: Callable, *args: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*args)
        finally:
            self.spent += time.perf_counter() - start

    @contextmanager
    def recording(self, img_metas: Sequence[dict]) -> Iterator[None]:
        """Timed but for what is recorded."""
        with ExitStack() as stack:
            self._timed(stack.enter_context, super().recording(img_metas))
            yield
            self._timed(stack.close)

    def note_weights(self, *args: Any) -> None:
        """Timed."""
        self._timed(super().note_weights, *args)

    def note_targets(self, *args: Any) -> None:
        """Timed."""
        self._timed(super().note_targets, *args)

    def entries(self, losses: Mapping[str, Any]) -> tuple[list[str], torch.Tensor]:
        """Timed."""
        return self._timed(super().entries, losses)

    def leave_out_undivided(self, log_vars: dict) -> None:
        """Timed."""
        self._timed(super().leave_out_undivided, log_vars)


def made_batch(batch: int, size: int, boxes: int, device: str) -> dict:
    """Images (B, 3, S, S) with boxes, of two sources in turn."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(batch, boxes, 2, generator=generator) * size * 0.6
    sides = (0.1 + 0.3 * torch.rand(batch, boxes, 2, generator=generator)) * size
    shape = (size, size, 3)
    meta = dict(img_shape=shape, pad_shape=shape, ori_shape=shape, scale_factor=1.0, flip=False, filename='made')
    return dict(
        img=torch.randn(batch, 3, size, size, generator=generator).to(device),
        img_metas=[dict(meta, source=SOURCES[i % 2]) for i in range(batch)],
        gt_bboxes=list(torch.cat([corners, corners + sides], -1).to(device)),
        gt_labels=list(torch.randint(0, 80, (batch, boxes), generator=generator).to(device)),
    )


def seconds(model: torch.nn.Module, optimizer: torch.optim.Optimizer, data: dict, log: SourceLog | None) -> float:
    """Wall seconds of one training step, the device's queue included."""
    model.source_log = log
    torch.manual_seed(0)  # both sides sample alike
    if data['img'].is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    model.train_step(data, optimizer)['loss'].backward()
    optimizer.step()
    if data['img'].is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def parse_args() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--size', type=int, default=320, help='side of the square images in px, a multiple of 32')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--boxes', type=int, default=10, help='objects of each image')
    parser.add_argument('--runs', type=int, default=20, help='counted pairs after two warm-up steps')
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    args = parse_args()
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.init_cfg = None
    model = build_detector(cfg.model).to(args.device).train()
    # a rate of 0: the model stays as it is, so that all steps have the same work
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    data = made_batch(args.batch, args.size, args.boxes, args.device)
    log = SourceLog(model, SOURCES)
    for side in (None, log):
        seconds(model, optimizer, data, side)
    pairs = []
    for i in range(args.runs):
        order = (None, log) if i % 2 else (log, None)
        times = {side is log: seconds(model, optimizer, data, side) for side in order}
        pairs.append((times[False], times[True]))
    plain, logged = (statistics.median(side) for side in zip(*pairs))
    low, ratio, high = statistics.quantiles([b / a for a, b in pairs], n=4)
    threads = torch.get_num_threads()
    print(f'torch {torch.__version__}, {args.device}, {threads} threads, {args.size} px, batch {args.batch}')
    timed = TimedLog(model, SOURCES)
    for _ in range(TIMED_RUNS):
        seconds(model, optimizer, data, timed)
    own = timed.spent / TIMED_RUNS
    print('| plain s | by source s | ratio | its quartiles | the log itself s | of a step |')
    print('| --- | --- | --- | --- | --- | --- |')
    print(f'| {plain:.4f} | {logged:.4f} | {ratio:.4f} | {low:.4f}, {high:.4f} | {own:.5f} | {own / plain:.2%} |')


if __name__ == '__main__':
    main()
