"""Fitting a saved optimizer state to a model whose parameters are not quite the saved ones."""

from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

# settings that releases of torch or schedules have added to all kinds
LATER_SETTINGS = {
    'foreach',
    'maximize',
    'capturable',
    'differentiable',
    'fused',
    'decoupled_weight_decay',
    'initial_lr',
}
BUFFER_SUFFIXES = ('running_mean', 'running_var', 'num_batches_tracked')


def fit_optimizer_state(
    saved: dict[str, Any], state_dict: dict[str, Tensor], model: nn.Module, optimizer: Optimizer
) -> dict[str, Any]:
    """Leave out what a saved state holds for parameters that the model no longer has.

    torch numbers parameters and keeps no names; both optimizer and state dict list them in the order of the model,
    which gives the names back.

    Args:
        saved: ``state_dict()`` of an optimizer.
        state_dict: the weights that were saved with it.
        model: the present one, without wrapper.
        optimizer: the present one.

    Returns:
        A state that ``optimizer.load_state_dict`` takes; the same object where nothing had to be left out.

    Raises:
        ValueError: names and numbers cannot be matched, or the model has parameters that the state lacks.
    """
    numbers = sorted(number for group in saved['param_groups'] for number in group['params'])
    if len(numbers) == sum(len(group['params']) for group in optimizer.param_groups):
        return saved
    wanted = {name for name, _ in model.named_parameters()}
    buffers = {name for name, _ in model.named_buffers()}
    names = [n for n in state_dict if n not in buffers and not n.endswith(BUFFER_SUFFIXES)]
    matched = len(names) == len(numbers) and wanted <= set(names)
    if not matched or not _same_shapes(saved['state'], dict(zip(numbers, names)), state_dict):
        raise ValueError(
            f'the optimizer state has {len(numbers)} parameters, the model {len(wanted)}; they cannot be matched. '
            'Start from the weights alone: load_from instead of resume_from'
        )
    gone = {number for number, name in zip(numbers, names) if name not in wanted}
    renumber = {old: new for new, old in enumerate(n for n in numbers if n not in gone)}
    groups = [dict(g, params=[renumber[n] for n in g['params'] if n not in gone]) for g in saved['param_groups']]
    return {
        'state': {renumber[number]: value for number, value in saved['state'].items() if number not in gone},
        'param_groups': [group for group in groups if group['params']],
    }


def check_same_kind(saved: dict[str, Any], optimizer: Optimizer) -> None:
    """Refuse the state of an optimizer of another kind, which torch takes, and which fails at the first step.

    Raises:
        ValueError: settings of the optimizer are missing in the state.
    """
    own = {key for group in optimizer.param_groups for key in group} - LATER_SETTINGS
    missing = sorted(own - {key for group in saved['param_groups'] for key in group})
    if missing:
        raise ValueError(f'it lacks {", ".join(missing)}, which {type(optimizer).__name__} has')


def _same_shapes(state: dict[int, dict[str, Any]], names: dict[int, str], state_dict: dict[str, Tensor]) -> bool:
    """Whether momenta and the like have the shapes of the parameters they would go to."""
    return all(
        value.shape == state_dict[names[number]].shape
        for number, entry in state.items()
        for value in entry.values()
        if isinstance(value, Tensor) and value.ndim > 0
    )
