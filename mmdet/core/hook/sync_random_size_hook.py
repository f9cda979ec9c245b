"""One random image size at a time for all processes."""

import random

import torch
import torch.distributed as dist
from mmcv.runner import HOOKS, BaseRunner, Hook

SIZE_STEP = 32  # pixels; strides of detectors divide it


@HOOKS.register_module()
class SyncRandomSizeHook(Hook):
    """Draws an image size after epochs and gives it to the data set's ``update_dynamic_scale``.

    Data sets of this package, and wrappers around them, set it in the ``Resize`` steps of their pipeline, those of
    ``MultiImageMixDataset`` in its own.

    Args:
        ratio_range: smallest and largest side, in steps of 32 pixels, both included; None switches the hook off.
        img_scale: (width, height), gives the proportion of both sides.
        interval: epochs between two draws.
        device: where the size is for a moment while it is sent to the other processes.
    """

    def __init__(
        self,
        ratio_range: tuple[int, int] | None = (14, 26),
        img_scale: tuple[int, int] = (640, 640),
        interval: int = 1,
        device: str = 'cuda',
    ) -> None:
        self.ratio_range = ratio_range
        self.img_scale = img_scale
        self.interval = interval
        self.device = device

    def after_train_epoch(self, runner: BaseRunner) -> None:
        """Draw on rank 0, send, and hand over.

        Raises:
            TypeError: the data set cannot change its scale.
        """
        if self.ratio_range is None or not self.every_n_epochs(runner, self.interval):
            return
        # the loader behind what a resumable runner puts around it
        loader = getattr(runner.data_loader, 'loader', runner.data_loader)
        dataset = loader.dataset
        if not hasattr(dataset, 'update_dynamic_scale'):
            raise TypeError(f'SyncRandomSizeHook: {type(dataset).__name__} has no method update_dynamic_scale')
        device = self.device if torch.cuda.is_available() else 'cpu'
        size = torch.zeros(2, dtype=torch.long, device=device)
        if runner.rank == 0:
            steps = random.randint(*self.ratio_range)
            proportion = self.img_scale[1] / self.img_scale[0]
            size[0], size[1] = SIZE_STEP * steps, SIZE_STEP * int(steps * proportion)
        if runner.world_size > 1:
            dist.broadcast(size, 0)
        dataset.update_dynamic_scale(tuple(size.tolist()))
        if getattr(loader, 'persistent_workers', False):
            loader._iterator = None  # workers that live on would keep the old size
