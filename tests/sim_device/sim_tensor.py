"""A simulated accelerator: the PyTorch device ``sim``, in Python, whose tensors hold tensors of the CPU.

Importing this module registers the device (torch's PrivateUse1 key) for the whole process, before any backward pass.
Every operator below autograd comes to :func:`run`, which

* refuses operands on different devices where CUDA refuses them,
* counts what makes the host of a GPU wait (:mod:`sim_syncs`),
* computes on the CPU tensors inside, so that numbers are those of the CPU to the bit.

It knows nothing of kernels that CUDA lacks, of streams, memory, tf32, cuDNN, fused optimizers, compiled code or NCCL.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from sim_syncs import nearest_line, note
from torch import Tensor
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = 'sim'
CPU, CUDA = torch.device('cpu'), torch.device('cuda', 0)

# operators whose result, or its size, the host must know
SYNCING = {
    '_local_scalar_dense': 'item', 'nonzero': 'nonzero', 'masked_select': 'masked_select', '_unique': 'unique',
    '_unique2': 'unique', 'unique_dim': 'unique', 'unique_consecutive': 'unique', 'unique_dim_consecutive': 'unique',
    'bincount': 'bincount', 'equal': 'equal', 'nms': 'nms', '_linalg_check_errors': 'linalg check',
}  # fmt: skip
INDEXING = {'index', 'index_put', 'index_put_', '_index_put_impl_', '_unsafe_index', '_unsafe_index_put'}
COPYING = {'_to_copy', 'copy_', 'copy', '_copy_from', '_copy_from_and_resize'}
# beside operators of each element: those that take a CPU tensor without dimensions among tensors of CUDA
TAKING_CPU_SCALARS = {
    'fill_', 'fill', 'masked_fill', 'masked_fill_', 'where', 'clamp', 'lift_fresh', 'lift', 'index_fill',
    'index_fill_', 'full_like', 'linspace', '_amp_foreach_non_finite_check_and_unscale_',
}  # fmt: skip
# a CPU computes these in half precision at a hundredth of its speed
SLOW_IN_HALF = {'convolution', 'convolution_backward', 'mm', 'addmm', 'bmm', 'baddbmm'}
HALVES = (torch.float16, torch.bfloat16)
# for these torch does not find a fallback once the key of Python is excluded
REGISTERED = [
    '_copy_from', '_copy_from_and_resize', 'empty.memory_format', 'empty_strided', 'lift_fresh', 'detach',
    'alias', '_to_copy', 'copy_', 'zero_', 'fill_.Scalar', 'view', 'as_strided', '_local_scalar_dense',
    'random_', 'random_.from', 'random_.to', 'uniform_', 'normal_', 'resize_', 'set_.source_Tensor', 'clone',
    'add_.Tensor', 'add.Tensor', 'mul.Tensor', 'zeros', 'ones', 'full', '_reshape_alias', 'scalar_tensor',
    'eye', 'eye.m', 'arange', 'arange.start', 'arange.start_step', 'randperm', 'rand', 'randn',
]  # fmt: skip

passes_for_cuda = [False]  # set by sim_cuda
load_to: list[Any] = [None]  # where torch.load puts tensors, likewise
_device_of = torch.Tensor.device.__get__
operators: dict[Any, 'Operator'] = {}
_libraries: list[torch.library.Library] = []  # a library undoes its registrations when it is collected


class Context:
    """A device or stream as a context, of which there is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __enter__(self) -> 'Context':
        return self

    def __exit__(self, *error: Any) -> bool:
        return False

    def wait_stream(self, other: Any) -> None:
        pass

    def synchronize(self) -> None:
        note('synchronize')


class Backend:
    """``torch.sim``: what torch asks of the module of a device."""

    device = Stream = Event = Context

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)
        answers = dict(
            is_initialized=True, is_available=True, is_built=True, current_device=0, device_count=1,
            _is_in_bad_fork=False, get_amp_supported_dtype=list(HALVES), current_stream=Context(),
        )  # fmt: skip
        if name == 'synchronize':
            return lambda *args: note('synchronize')
        if name == 'get_rng_state':
            return lambda *args: torch.get_rng_state()
        if name in ('set_device', 'manual_seed', 'manual_seed_all', 'set_rng_state') or name in answers:
            return lambda *args, **kwargs: answers.get(name)
        raise AttributeError(f'the simulated device has no {name}')


class SimTensor(torch.Tensor):
    """A tensor on the device; ``on_cpu`` holds its values."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    on_cpu: Tensor

    @staticmethod
    def __new__(cls, on_cpu: Tensor) -> 'SimTensor':
        tensor = torch.Tensor._make_wrapper_subclass(
            cls, on_cpu.size(), strides=on_cpu.stride(), storage_offset=on_cpu.storage_offset(), dtype=on_cpu.dtype,
            layout=on_cpu.layout, device=DEVICE,
        )  # fmt: skip
        tensor.on_cpu = on_cpu
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return run(func, args, kwargs or {})

    @property
    def device(self) -> torch.device:
        return CUDA if passes_for_cuda[0] else _device_of(self)

    @property
    def is_cuda(self) -> bool:
        return passes_for_cuda[0]

    @property
    def data(self) -> Tensor:
        return torch.Tensor.data.__get__(self)

    @data.setter
    def data(self, new: Tensor) -> None:
        torch.Tensor.data.__set__(self, new)
        if isinstance(new, SimTensor):
            self.on_cpu = new.on_cpu

    def cuda(self, *args: Any, **kwargs: Any) -> 'SimTensor':
        return self

    def tolist(self) -> Any:
        note('tolist')
        return self.on_cpu.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        if force:
            return self.detach().cpu().numpy()
        raise TypeError(f"can't convert {self.device} device type tensor to numpy")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.numpy()

    def __setitem__(self, index: Any, value: Any) -> None:
        # a number stays on the CPU, so that a mask as index becomes masked_fill_
        value = torch.tensor(value, dtype=self.dtype) if isinstance(value, (int, float, bool)) else value
        torch.Tensor.__setitem__(self, index, value)

    def __repr__(self) -> str:
        return f'SimTensor({self.on_cpu!r}, device={self.device})'

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.dim() == 0 else object.__format__(self, spec)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        note('copy to host')
        return rebuilt, (self.detach().on_cpu, bool(getattr(self, '_is_param', False)), self.requires_grad)

    def __deepcopy__(self, memo: dict) -> 'SimTensor':
        if id(self) not in memo:
            with torch.no_grad():
                new = SimTensor(self.on_cpu.clone())
            new.requires_grad_(self.requires_grad)
            new.grad = copy.deepcopy(self.grad, memo)
            rest = {key: value for key, value in self.__dict__.items() if key != 'on_cpu'}
            new.__dict__.update(copy.deepcopy(rest, memo))
            memo[id(self)] = new
        return memo[id(self)]

    def data_ptr(self) -> int:
        return self.on_cpu.data_ptr()

    def is_pinned(self, device: Any = None) -> bool:
        return False

    def record_stream(self, stream: Any) -> None:
        pass


def rebuilt(on_cpu: Tensor, is_parameter: bool, requires_grad: bool) -> Tensor:
    """A tensor from a file."""
    to_cpu = load_to[0] is not None and torch.device(load_to[0]).type == 'cpu'
    tensor = on_cpu if to_cpu else SimTensor(on_cpu)
    return torch.nn.Parameter(tensor, requires_grad) if is_parameter else tensor.requires_grad_(requires_grad)


class Operator(NamedTuple):
    """What :func:`run` has to know of an operator."""

    name: str
    copies: bool
    indexes: bool
    syncs: str | None  # kind of the synchronisation that it always is
    repeats: bool
    slow_in_half: bool
    mutable: bool


def described(func: Any) -> Operator:
    """The operator's description, made once."""
    name = func.overloadpacket.__name__
    repeats = name == 'repeat_interleave' and func._overloadname == 'Tensor'
    kinds = (name in COPYING, name in INDEXING, SYNCING.get(name), repeats, name in SLOW_IN_HALF)
    operators[func] = Operator(name, *kinds, func._schema.is_mutable)
    return operators[func]


def run(func: Any, args: tuple, kwargs: dict) -> Any:
    """An operator on tensors of which at least one is, or is to be, on the device."""
    operator = operators.get(func) or described(func)
    if operator.copies:
        return copied(func, operator.name, args, kwargs)
    own: list[SimTensor] = []
    others: list[Tensor] = []
    given = unwrapped(args, own, others)
    settings = dict(zip(kwargs, unwrapped(kwargs.values(), own, others))) if kwargs else {}
    if own:
        if others:
            refuse_mixed(func, operator, args, others)
        note_syncs(operator, args, kwargs)
    if settings.get('pin_memory'):
        settings['pin_memory'] = False
    out = in_full_precision(func, given, settings) if operator.slow_in_half else func(*given, **settings)
    target = kwargs.get('device')
    to_device = bool(own) if target is None else torch.device(target).type == NAME
    return wrapped(operator, out, own, to_device)


def unwrapped(values: Iterable[Any], own: list[SimTensor], others: list[Tensor]) -> list[Any]:
    """Arguments with the CPU in the place of the device; tensors of either are added to the lists."""
    out: list[Any] = []
    for value in values:
        kind = type(value)
        if kind is SimTensor:
            own.append(value)
            out.append(value.on_cpu)
        elif kind is list or kind is tuple or isinstance(value, list):
            out.append(unwrapped(value, own, others))
        else:
            if isinstance(value, Tensor):
                others.append(value)
            out.append(CPU if kind is torch.device and value.type == NAME else value)
    return out


def operands_of(args: tuple, kwargs: dict) -> list[Tensor]:
    """All tensors among the arguments; operators nest them in lists, and these no deeper."""
    found = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += [v for v in value if isinstance(v, Tensor)]
    return found


def on_cpu(value: Any) -> Any:
    """An argument with the CPU in the place of the device."""
    if isinstance(value, SimTensor):
        return value.on_cpu
    if isinstance(value, (list, tuple)):
        return type(value)(on_cpu(v) for v in value) if type(value) in (list, tuple) else [on_cpu(v) for v in value]
    return CPU if isinstance(value, torch.device) and value.type == NAME else value


def in_full_precision(func: Any, args: list, kwargs: dict) -> Any:
    """Half precision computed in float32 and rounded at the end."""
    half = next((t.dtype for t in args if isinstance(t, Tensor) and t.dtype in HALVES), None)
    if half is None:
        return func(*args, **kwargs)
    out = func(*(t.float() if isinstance(t, Tensor) and t.dtype == half else t for t in args), **kwargs)
    down = [t.to(half) if isinstance(t, Tensor) else t for t in (out if isinstance(out, (tuple, list)) else [out])]
    return tuple(down) if isinstance(out, (tuple, list)) else down[0]


def wrapped(operator: Operator, out: Any, own: list[SimTensor], to_device: bool) -> Any:
    """The result on the device; an operator in place gives its argument back."""
    in_place = {id(t.on_cpu): t for t in own} if operator.mutable else {}
    if any(t.size() != t.on_cpu.size() for t in in_place.values()):
        raise NotImplementedError(f'{operator.name} changed the shape of its argument, which cannot be shown')

    def wrap(t: Any) -> Any:
        if isinstance(t, (list, tuple)):
            return type(t)(wrap(v) for v in t)
        if not isinstance(t, Tensor) or isinstance(t, SimTensor) or not to_device:
            return t
        same = in_place.get(id(t))
        if same is not None:
            return same
        return SimTensor(torch.ops.aten.alias(t) if any(t is other.on_cpu for other in own) else t)

    return wrap(out)


def refuse_mixed(func: Any, operator: Operator, args: tuple, others: list[Tensor]) -> None:
    """Raise what CUDA raises for CPU tensors among its own, but where it lets them pass."""
    if operator.indexes:
        # indices may be on the CPU, and a value without dimensions
        if not isinstance(args[0], SimTensor):
            raise RuntimeError(f'indices should be on the CPU, as the indexed tensor is (at {nearest_line()})')
        value = args[2] if len(args) > 2 else None
        if value is None or isinstance(value, SimTensor) or value.dim() == 0:
            return
    else:
        name = operator.name
        element_wise = torch.Tag.pointwise in func.tags or name.startswith('_foreach') or name in TAKING_CPU_SCALARS
        writes_to_cpu = operator.mutable and isinstance(args[0], Tensor) and not isinstance(args[0], SimTensor)
        if element_wise and not writes_to_cpu and all(t.dim() == 0 for t in others):
            return
    raise RuntimeError(
        f'Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! '
        f'({func} at {nearest_line()})'
    )


def note_syncs(operator: Operator, args: tuple, kwargs: dict) -> None:
    if operator.syncs:
        note(operator.syncs)
    elif operator.indexes and isinstance(args[0], SimTensor):
        note_indexing(operator.name, args)
    elif operator.repeats and kwargs.get('output_size') is None:
        note('repeat_interleave')


def note_indexing(name: str, args: tuple) -> None:
    given = [t for t in args[1] if t is not None]
    masks = [t for t in given if t.dtype in (torch.bool, torch.uint8) and isinstance(t, SimTensor)]
    if masks and 'put' not in name:
        note('mask as index')
    elif masks:
        value, accumulate = args[2], len(args) > 3 and args[3]
        one_number = value.numel() == 1 and not isinstance(value, SimTensor)
        if accumulate or len(given) > 1 or not one_number:  # else it becomes masked_fill_
            note('assignment by mask')
    if any(not isinstance(t, SimTensor) for t in given):
        note('index from host')


def copied(func: Any, name: str, args: tuple, kwargs: dict) -> Any:
    """Copies may cross devices; the host waits for those that are not asked to be asynchronous."""
    if name == '_to_copy':
        source, target = args[0], kwargs.get('device')
        to_device = isinstance(source, SimTensor) if target is None else torch.device(target).type == NAME
        note_copy(source, to_device, kwargs.get('non_blocking', False))
        rest = {key: on_cpu(value) for key, value in kwargs.items() if key not in ('non_blocking', 'pin_memory')}
        out = func(on_cpu(source), **rest)
        return SimTensor(out) if to_device else out
    into, source = args[:2] if name in ('copy_', 'copy') else args[1::-1]
    asynchronous = args[2] if len(args) > 2 else kwargs.get('non_blocking', False)
    note_copy(source, isinstance(into, SimTensor), asynchronous)
    if name == 'copy':
        out = func(on_cpu(into), on_cpu(source))
        return SimTensor(out) if isinstance(into, SimTensor) else out
    on_cpu(into).copy_(on_cpu(source))
    return into


def note_copy(source: Tensor, to_device: bool, asynchronous: bool) -> None:
    if isinstance(source, SimTensor) != to_device and not asynchronous:
        note('copy from host' if to_device else 'copy to host')


def _register() -> torch.device:
    _setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
    every, aten = (torch.library.Library(name, 'IMPL') for name in ('_', 'aten'))
    every.fallback(lambda func, *args, **kwargs: run(func, args, kwargs), 'PrivateUse1')
    for name in REGISTERED:
        packet, _, overload = name.partition('.')
        func = getattr(getattr(torch.ops.aten, packet), overload or 'default', None)
        composite = 'CompositeImplicitAutograd'
        if func is not None and not torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), composite):
            aten.impl(name, lambda *args, _func=func, **kwargs: run(_func, args, kwargs), 'PrivateUse1')
    _libraries.extend([every, aten])
    torch.serialization.add_safe_globals([rebuilt, SimTensor])
    return torch.device(NAME, 0)


DEVICE = _register()
