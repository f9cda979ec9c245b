"""Where the RoI features of classes and domains lie, in the course of a training."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmcv.runner import HOOKS, BaseRunner, Hook
from torch import Tensor, nn

from mmdet.core.hook.diagnostics.tensorboard_writer import tensorboard_writer
from mmdet.core.img_meta import ImgMeta
from mmdet.core.visualization.embedding import embedding_picture
from mmdet.utils.checkpoints.checkpoint import unwrap_model
from mmdet.utils.running.rng import preserved_rng


class RoISample(NamedTuple):
    """RoIs of some images."""

    features: np.ndarray  # (n, C), means over the RoIs' areas
    labels: np.ndarray  # (n,) int, classes that the detector finds
    domains: np.ndarray  # (n,) int


@torch.no_grad()
def found_rois(
    detector: nn.Module, img: Tensor, img_metas: list[ImgMeta], score_thr: float, meta_key: str
) -> RoISample:
    """The RoI features of what a detector finds in a batch, so with images without annotations as well.

    Args:
        detector: with ``simple_test``, ``extract_feat`` and ``roi_features``; in evaluation mode.
        img: (N, 3, H, W), normalised.
        img_metas: of the N images; their entry ``meta_key`` is the domain, 0 where there is none.
        score_thr: detections with a lower score are left out.
        meta_key: see there.
    """
    rois, labels, domains = [], [], []
    for i, (result, meta) in enumerate(zip(detector.simple_test(img, img_metas, rescale=False), img_metas)):
        by_class = result[0] if isinstance(result, tuple) else result
        for label, found in enumerate(by_class):
            boxes = found[found[:, 4] >= score_thr, :4]
            rois.append(np.concatenate([np.full((len(boxes), 1), i), boxes], 1))
            labels += [label] * len(boxes)
            domains += [int(meta.get(meta_key, 0))] * len(boxes)
    table = torch.as_tensor(np.concatenate(rois), dtype=img.dtype, device=img.device)
    features = detector.roi_features(detector.extract_feat(img), table).mean((2, 3))
    return RoISample(features.float().cpu().numpy(), np.array(labels, np.int64), np.array(domains, np.int64))


@HOOKS.register_module()
class EmbeddingProjectionHook(Hook):
    """Writes a picture of the RoI features by class and domain, and TensorBoard's projector where the run has it.

    The RoIs are those in which the detector finds something at that moment, in images as they are trained on. The
    picture (PCA) is made of the first process' images; a two-stage detector is needed.

    Args:
        interval: iterations between pictures.
        num_batches: batches that the RoIs come from, the last ones before the picture.
        max_rois: RoIs at most; what is more is left out evenly.
        score_thr: of the detections.
        meta_key: entry of ``img_metas`` with the domain; images without it are of domain 0.
        out_dir: folder; None: ``embeddings`` in the work dir. Files are ``iter_{iteration}.png``.

    Raises:
        TypeError: (at the start of a run) the model is no two-stage detector.
    """

    def __init__(
        self,
        interval: int = 1000,
        num_batches: int = 8,
        max_rois: int = 1000,
        score_thr: float = 0.3,
        meta_key: str = 'domain',
        out_dir: str | None = None,
    ) -> None:
        self.interval = interval
        self.num_batches = num_batches
        self.max_rois = max_rois
        self.score_thr = score_thr
        self.meta_key = meta_key
        self.out_dir = out_dir
        self._samples: list[RoISample] = []
        self._handle: Any = None
        self._batch: tuple[Tensor, list[dict]] | None = None

    def before_run(self, runner: BaseRunner) -> None:
        """Look whether the detector has RoIs."""
        model = unwrap_model(runner.model)
        if not (hasattr(model, 'roi_features') and getattr(model, 'with_roi_head', False)):
            raise TypeError(
                f'EmbeddingProjectionHook needs a two-stage detector, {type(model).__name__} has no RoI head'
            )

    def before_train_iter(self, runner: BaseRunner) -> None:
        """Listen to the batch, if it is one of the last before a picture."""
        if runner.rank == 0 and self._to_go(runner) < self.num_batches:
            model = unwrap_model(runner.model)
            self._handle = model.register_forward_pre_hook(self._keep_batch, with_kwargs=True)

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Look for objects in the batch; write the picture."""
        if self._handle is None:
            return
        self._handle.remove()
        self._handle = None
        if self._batch is not None:
            self._samples.append(self._look(unwrap_model(runner.model), *self._batch))
            self._batch = None
        if self._to_go(runner) == 0:
            self._write(runner)
            self._samples = []

    def _to_go(self, runner: BaseRunner) -> int:
        """Iterations until the next picture."""
        return -(runner.iter + 1) % self.interval

    def _keep_batch(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        if isinstance(kwargs.get('img'), Tensor):
            self._batch = (kwargs['img'].detach(), kwargs['img_metas'])

    def _look(self, model: nn.Module, img: Tensor, img_metas: list[ImgMeta]) -> RoISample:
        """RoIs of a batch; the modes of all modules and the random states are put back afterwards."""
        modes = {module: module.training for module in model.modules()}
        model.eval()
        with preserved_rng():
            sample = found_rois(model, img, img_metas, self.score_thr, self.meta_key)
        for module, mode in modes.items():
            module.training = mode
        return sample

    def _write(self, runner: BaseRunner) -> None:
        features, labels, domains = (np.concatenate(parts) for parts in zip(*self._samples))
        if not len(labels):
            runner.logger.info(f'no embedding at iteration {runner.iter + 1}: nothing is found yet')
            return
        chosen = np.unique(np.linspace(0, len(labels) - 1, min(self.max_rois, len(labels))).round().astype(int))
        features, labels, domains = features[chosen], labels[chosen], domains[chosen]
        names = getattr(unwrap_model(runner.model), 'CLASSES', None)
        folder = Path(self.out_dir or Path(runner.work_dir) / 'embeddings')
        path = folder / f'iter_{runner.iter + 1:06d}.png'
        title = f'{len(labels)} RoIs at iteration {runner.iter + 1}'
        embedding_picture(path, features, labels, domains, names, title)
        writer = tensorboard_writer(runner)
        if writer is not None:
            rows = [[names[k] if names else str(k), str(d)] for k, d in zip(labels, domains)]
            writer.add_embedding(
                torch.from_numpy(features), rows, metadata_header=['class', 'domain'],
                global_step=runner.iter + 1, tag='roi_features',
            )  # fmt: skip
