"""Keeping parts of a model exactly as they are while the rest trains."""

from collections.abc import Sequence

from mmcv.runner import HOOKS, BaseRunner, Hook

from mmdet.utils.partial_weights import modules_of


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
        self._modules = modules_of(runner.model, self.parts)
        for module in self._modules:
            module.requires_grad_(False)

    def before_train_iter(self, runner: BaseRunner) -> None:
        """Undo the runner's ``model.train()``."""
        for module in self._modules:
            if module.training:
                module.eval()
