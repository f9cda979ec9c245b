"""Pictures of what chosen modules give, in the course of a training."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.runner import HOOKS, BaseRunner, Hook
from torch import Tensor, nn

from mmdet.core.hook.diagnostics.tensorboard_writer import tensorboard_writer
from mmdet.core.visualization.feature_maps import REDUCTIONS, feature_map_picture
from mmdet.utils.checkpoints.checkpoint import unwrap_model
from mmdet.utils.checkpoints.partial_weights import modules_of


def maps_in(output: Any) -> list[Tensor]:
    """The tensors (N, C, H, W) in what a module gives: a tensor, or sequences or dicts of such."""
    if isinstance(output, Tensor):
        return [output] if output.ndim == 4 else []
    if isinstance(output, dict):
        output = output.values()
    return [part for item in output for part in maps_in(item)] if isinstance(output, Iterable) else []


@HOOKS.register_module()
class FeatureMapHook(Hook):
    """Writes the feature maps of chosen modules as PNG images, and into TensorBoard where the run has it.

    A picture shows an image of the batch and beside it the maps, each stretched to its own range. The first process
    writes; between the pictures the hook costs nothing.

    Args:
        modules: names of modules, such as ``'backbone'``, ``'neck'`` or ``'backbone.layer1'``. What a module gives at
            its first call of the iteration is shown.
        interval: iterations between pictures.
        num_images: images of the batch that are shown.
        reduction: how the channels become one value: ``'mean'``, ``'max'`` or ``'norm'``.
        out_dir: folder; None: ``feature_maps`` in the work dir. Files are ``iter_{iteration}_{module}_{image}.png``.

    Raises:
        ValueError: an unknown reduction.
        KeyError: (at the start of a run) the model has no such module.
    """

    def __init__(
        self,
        modules: Sequence[str] = ('neck',),
        interval: int = 500,
        num_images: int = 1,
        reduction: str = 'mean',
        out_dir: str | None = None,
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f'FeatureMapHook: reduction must be one of {", ".join(REDUCTIONS)}, got {reduction!r}')
        self.modules = list(modules)
        self.interval = interval
        self.num_images = num_images
        self.reduction = reduction
        self.out_dir = out_dir
        self._handles: list[Any] = []

    def before_run(self, runner: BaseRunner) -> None:
        """Find the modules."""
        self._found = dict(zip(self.modules, modules_of(runner.model, self.modules)))

    def before_train_iter(self, runner: BaseRunner) -> None:
        """Listen to the modules, if this iteration is to be shown."""
        if runner.rank != 0 or not self.every_n_iters(runner, self.interval):
            return
        self._images: np.ndarray | None = None
        self._maps: dict[str, list[np.ndarray]] = {}
        for name, module in self._found.items():
            self._handles.append(module.register_forward_hook(self._keep_output(name)))
        model = unwrap_model(runner.model)
        self._handles.append(model.register_forward_pre_hook(self._keep_images, with_kwargs=True))

    def after_train_iter(self, runner: BaseRunner) -> None:
        """Write the pictures."""
        if not self._handles:
            return
        self._stop_listening()
        folder = Path(self.out_dir or Path(runner.work_dir) / 'feature_maps')
        folder.mkdir(parents=True, exist_ok=True)
        writer = tensorboard_writer(runner)
        for name, maps in self._maps.items():
            for i in range(len(maps[0])):
                image = None if self._images is None else self._images[i]
                picture = feature_map_picture(image, [level[i] for level in maps], self.reduction)
                cv2.imwrite(str(folder / f'iter_{runner.iter + 1:06d}_{name}_{i}.png'), picture)
                if writer is not None:
                    tag = f'feature_maps/{name}/{i}'
                    writer.add_image(tag, picture[..., ::-1].copy(), runner.iter + 1, dataformats='HWC')

    def after_run(self, runner: BaseRunner) -> None:
        """Stop listening."""
        self._stop_listening()

    def _stop_listening(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _keep_output(self, name: str) -> Any:
        def keep(module: nn.Module, args: tuple, output: Any) -> None:
            maps = maps_in(output)
            if name not in self._maps and maps:
                self._maps[name] = [self._to_numpy(level) for level in maps]

        return keep

    def _keep_images(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        images = kwargs.get('img', args[0] if args else None)
        if isinstance(images, Tensor):
            self._images = self._to_numpy(images)

    @torch.no_grad()
    def _to_numpy(self, batch: Tensor) -> np.ndarray:
        return batch[: self.num_images].detach().float().cpu().numpy()
