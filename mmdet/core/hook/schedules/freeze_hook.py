"""Keeping parts of a model exactly as they are while the rest trains."""

from collections.abc import Iterable, Mapping, Sequence

from mmcv.runner import HOOKS, BaseRunner, Hook
from torch import nn

from mmdet.utils.checkpoints.partial_weights import modules_of


def freeze(model: nn.Module, parts: Sequence[str]) -> list[nn.Module]:
    """Take the gradient from the parameters of some parts of a model.

    Returns:
        The parts.

    Raises:
        KeyError: the model has no such module.
    """
    modules = modules_of(model, parts)
    for module in modules:
        module.requires_grad_(False)
    return modules


def freeze_as_hooks_will(model: nn.Module, hooks: Iterable[Hook | Mapping]) -> None:
    """Freeze now what the ``FreezeHook`` among a config's ``custom_hooks`` freeze when a run begins.

    ``DistributedDataParallel`` waits for the gradient of each parameter that needed one when it was wrapped.

    Raises:
        KeyError: the model has no such module.
    """
    for hook in hooks:
        if isinstance(hook, FreezeHook):
            freeze(model, hook.parts)
        elif isinstance(hook, Mapping) and hook.get('type') == FreezeHook.__name__:
            freeze(model, hook['parts'])


@HOOKS.register_module()
class FreezeHook(Hook):
    """Takes parts of the model out of the training; neither their parameters nor their statistics change.

    Their parameters need no gradient (so no optimizer touches them, weight decay included) and the modules stay in
    evaluation mode, which runners leave before each pass.

    Args:
        parts: names of modules, such as ``'backbone'`` or ``'roi_head.bbox_head'``.

    Raises:
        KeyError: (at the start of a run) the model has no such module.
    """

    def __init__(self, parts: Sequence[str]) -> None:
        self.parts = list(parts)

    def before_run(self, runner: BaseRunner) -> None:
        """Freeze before the first step."""
        self._modules = freeze(runner.model, self.parts)

    def before_train_iter(self, runner: BaseRunner) -> None:
        """Undo the runner's ``model.train()``."""
        for module in self._modules:
            if module.training:
                module.eval()
