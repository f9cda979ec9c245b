"""YOLOX's learning rate (https://arxiv.org/abs/2107.08430)."""

from mmcv.runner import HOOKS, BaseRunner
from mmcv.runner.hooks.lr_updater import CosineAnnealingLrUpdaterHook, annealing_cos


@HOOKS.register_module()
class YOLOXLrUpdaterHook(CosineAnnealingLrUpdaterHook):
    """Quadratic warm-up, cosine fall, and a constant rate in the last epochs.

    Args:
        num_last_epochs: epochs with the final rate.
        kwargs: of mmcv's ``CosineAnnealingLrUpdaterHook``.
    """

    def __init__(self, num_last_epochs: int, **kwargs) -> None:
        self.num_last_epochs = num_last_epochs
        super().__init__(**kwargs)

    def get_warmup_lr(self, cur_iters: int) -> list[float] | dict[str, list[float]]:
        """Rates of the parameter groups in the warm-up."""
        factor = self.warmup_ratio * ((cur_iters + 1) / self.warmup_iters) ** 2
        if isinstance(self.base_lr, dict):
            return {key: [rate * factor for rate in rates] for key, rates in self.base_lr.items()}
        return [rate * factor for rate in self.base_lr]

    def get_lr(self, runner: BaseRunner, base_lr: float) -> float:
        """Rate of a group after the warm-up."""
        if self.by_epoch:
            done, total, last = runner.epoch + 1, runner.max_epochs, self.num_last_epochs
        else:
            last = len(runner.data_loader) * self.num_last_epochs
            done, total = runner.iter + 1, runner.max_iters
        target = base_lr * self.min_lr_ratio if self.min_lr_ratio is not None else self.min_lr
        if done >= total - last:
            return target
        warmup = 0 if self.by_epoch else self.warmup_iters
        return annealing_cos(base_lr, target, (done - warmup) / (total - warmup - last))
