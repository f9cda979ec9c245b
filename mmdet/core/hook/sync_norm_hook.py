"""The same normalisation statistics on all processes."""

from collections import OrderedDict

from mmcv.runner import HOOKS, BaseRunner, Hook
from torch import Tensor, nn

from mmdet.core.utils.dist_utils import all_reduce_dict
from mmdet.utils.checkpoints.checkpoint import unwrap_model

NORM_LAYERS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def get_norm_states(module: nn.Module) -> 'OrderedDict[str, Tensor]':
    """The entries of ``module.state_dict()`` that belong to normalisation layers, weights included."""
    return OrderedDict(
        (f'{name}.{key}', value)
        for name, child in module.named_modules()
        if isinstance(child, NORM_LAYERS)
        for key, value in child.state_dict().items()
    )


@HOOKS.register_module()
class SyncNormHook(Hook):
    """Averages normalisation statistics over the processes at the end of epochs.

    Args:
        num_last_epochs: within that many epochs before the end it is done after each one.
        interval: epochs between two averagings before.
    """

    def __init__(self, num_last_epochs: int = 15, interval: int = 1) -> None:
        self.num_last_epochs = num_last_epochs
        self.interval = interval

    def before_train_epoch(self, runner: BaseRunner) -> None:
        """Go over to every epoch near the end."""
        if runner.epoch + 1 >= runner.max_epochs - self.num_last_epochs:
            self.interval = 1

    def after_train_epoch(self, runner: BaseRunner) -> None:
        """Average, with more than one process."""
        if runner.world_size == 1 or not self.every_n_epochs(runner, self.interval):
            return
        module = unwrap_model(runner.model)
        states = get_norm_states(module)
        if states:
            module.load_state_dict(all_reduce_dict(states, op='mean'), strict=False)
