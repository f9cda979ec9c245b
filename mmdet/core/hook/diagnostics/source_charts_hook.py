"""Charts of TensorBoard in which each loss stands beside its parts by source."""

from mmcv.runner import HOOKS, BaseRunner, Hook
from mmcv.runner.dist_utils import master_only

from mmdet.utils.checkpoints.checkpoint import unwrap_model


@HOOKS.register_module()
class SourceChartsHook(Hook):
    """Draws each loss and its parts by source in one chart, under TensorBoard's "Custom Scalars".

    For models with a ``source_log``, which ``per_source_log=True`` makes; nothing happens without a TensorBoard hook.
    The scalars themselves are ``train/loss_rpn_cls/SOURCE``.
    """

    def __init__(self) -> None:
        self._drawn: list[str] = []

    @master_only
    def after_train_iter(self, runner: BaseRunner) -> None:
        """Hand the layout to the writer once it is known which losses fall into parts."""
        log = getattr(unwrap_model(runner.model), 'source_log', None)
        writers = [hook.writer for hook in runner.hooks if hasattr(getattr(hook, 'writer', None), 'add_custom_scalars')]
        if log is None or list(log.charts()) == self._drawn:
            return
        self._drawn = list(log.charts())
        charts = {loss: ['Multiline', [f'train/{name}$' for name in names]] for loss, names in log.charts().items()}
        for writer in writers:
            writer.add_custom_scalars({'losses by source': charts})
