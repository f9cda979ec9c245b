"""YOLOX's last epochs: without mosaic and mix-up, with an L1 loss (https://arxiv.org/abs/2107.08430)."""

from collections.abc import Sequence

from mmcv.runner import HOOKS, BaseRunner, Hook

from mmdet.utils.checkpoints.checkpoint import unwrap_model


@HOOKS.register_module()
class YOLOXModeSwitchHook(Hook):
    """Switches strong augmentation off and the L1 loss on before the last epochs.

    Args:
        num_last_epochs: number of these epochs.
        skip_type_keys: pipeline steps that are left out from then on.
    """

    def __init__(
        self, num_last_epochs: int = 15, skip_type_keys: Sequence[str] = ('Mosaic', 'RandomAffine', 'MixUp')
    ) -> None:
        self.num_last_epochs = num_last_epochs
        self.skip_type_keys = skip_type_keys
        self._switched = False

    def before_train_epoch(self, runner: BaseRunner) -> None:
        """Switch once, in a run that was resumed behind that epoch too."""
        if self._switched or runner.epoch + 1 < runner.max_epochs - self.num_last_epochs:
            return
        runner.logger.info(f'no {", ".join(self.skip_type_keys)} from now on, and an L1 loss more')
        # the loader behind what a resumable runner puts around it
        loader = getattr(runner.data_loader, 'loader', runner.data_loader)
        loader.dataset.update_skip_type_keys(self.skip_type_keys)
        if hasattr(runner.data_loader, 'renew_workers'):
            runner.data_loader.renew_workers()  # workers that live on would keep the old data set
        elif getattr(loader, 'persistent_workers', False):
            loader._iterator = None
        unwrap_model(runner.model).bbox_head.use_l1 = True
        self._switched = True
