"""Whether the layers of a model fit each other: one small made image goes through its training before data are read."""

import copy
import re
import warnings
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import torch
from mmcv.utils import is_seq_of
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from mmdet.apis.checking.made_image import detect_on, is_of_config, limit_samples, made_batch, prepare_training
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.utils.configs.config_error import ConfigTypeError, nodes, path_text
from mmdet.utils.logger import get_root_logger
from mmdet.utils.running.rng import preserved_rng

SIDE = 128  # px of the made image: a whole number of cells of each stride up to 128
LARGER_SIDE = 512  # px; of a second image where the first one does not come to the end, as SSD needs it
# what torch and the heads say of parts that do not fit each other; of numbers that depend on the size of the image
# another image says other numbers
MISFIT = re.compile(
    r'size of tensor|shapes cannot be multiplied|embedding dimension|feature maps|levels|channels|inputs'
)
# how far a stride that a config states may be off the one that the feature maps have, as a factor
STRIDE_TOLERANCE = 1.5
# arguments that have an entry for each of a head's feature maps
PER_LEVEL = ('strides', 'num_grids', 'scale_ranges', 'base_edge_list')
# arguments that say how wide a part is
WIDTHS = re.compile(r'(in|out|feat|base|conv_out|fc_out)_channels|embed_dims?|num_feats|roi_feat_size|num_outs')

_checked: 'weakref.WeakSet[nn.Module]' = weakref.WeakSet()  # models that have been tried


def check_layers(model: nn.Module, cfg: Mapping[str, Any]) -> None:
    """Pass one made image through a training step of a copy of the model, once for each model.

    Then detects on it, as the first evaluation would. What a model with modules from elsewhere meets beside layers that
    do not fit is left to the first step with real data. ``cfg.audit.enable=False`` leaves the check out.

    Args:
        model: detector without wrapper; neither it nor the random state is changed.
        cfg: config of the run; ``cfg.model`` is what the model was built from.

    Raises:
        ConfigTypeError: a part takes another number of channels, levels or strides than it is given, or the image ends
            in another error; the text begins with the part's place in the config.
    """
    wanted = isinstance(cfg.get('model'), Mapping) and (cfg.get('audit') or {}).get('enable', True)
    if not wanted or model in _checked or not hasattr(model, 'forward_train'):
        return
    _checked.add(model)
    try:
        trial = copy.deepcopy(model)
    except Exception as error:  # a user's own model may hold what cannot be copied
        get_root_logger().debug(f'the layers are not tried, the model cannot be copied: {error}')
        return
    for module in trial.modules():
        limit_samples(module)
    with preserved_rng(), torch.no_grad(), warnings.catch_warnings(), _Watch(trial, cfg['model']) as watch:
        warnings.simplefilter('ignore')
        misfit = _misfit(watch)
        if misfit is not None:
            raise ConfigTypeError(misfit.line)


class Misfit(NamedTuple):
    """A part that does not fit what it is given."""

    problem: str  # where and what, in words that no size of an image changes
    line: str  # the same with all that helps
    of_parts: bool = True  # that do not fit each other; else an error of another kind


def _misfit(watch: '_Watch') -> Misfit | None:
    """What does not fit whatever the size of the image."""
    first = watch.misfit_at(SIDE)
    if watch.finished:
        return None
    # what depends on the size of the image is no matter of the config
    if first is not None and first.of_parts:
        second = watch.misfit_at(2 * SIDE)
    else:
        first, second = watch.misfit_at(LARGER_SIDE), first
        if first is not None and first.of_parts:
            second = watch.misfit_at(2 * LARGER_SIDE)
    return first if first is not None and second is not None and first.problem == second.problem else None


class Place(NamedTuple):
    """Where in the config a module's part is."""

    path: str  # of the part, as errors write it
    part: str  # name of the part in the model
    layer: str  # name of the module within the part; empty: it is the part
    node: Any  # config of the part


class _Found(Exception):
    """Ends a trial."""

    def __init__(self, misfit: Misfit) -> None:
        super().__init__(misfit.line)
        self.misfit = misfit


class _Watch:
    """Looks at what modules are given.

    Args:
        model: to be watched.
        cfg: of the model.
    """

    def __init__(self, model: nn.Module, cfg: Mapping[str, Any]) -> None:
        self.model: Any = model
        self.cfg = cfg
        self.names = {id(module): name for name, module in model.named_modules()}
        self.inputs: dict[str, list[tuple[int, ...]]] = {}  # of each part that the config has: shapes of its tensors
        self.side = SIDE
        self.finished = False  # whether an image has come to the end
        self.doing = ''  # what the image passes through
        self._handles: list[Any] = []

    def __enter__(self) -> '_Watch':
        for module in self.model.modules():
            self._handles.append(module.register_forward_pre_hook(self._look, with_kwargs=True))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def misfit_at(self, side: int) -> Misfit | None:
        """What does not fit, with an image of that size; None: nothing that could be found out."""
        self.side, self.doing = side, 'a training step'
        try:
            prepare_training(self.model)
            batch = made_batch(self.model, self.cfg, side)
            self.model.forward_train(**batch)
            self.doing = 'a detection'
            detect_on(self.model, batch, side)
            self.finished = True
        except _Found as found:
            return found.misfit
        except Exception as error:
            get_root_logger().debug(f'the trial of layers is left at: {type(error).__name__}: {error}')
            text = str(error).strip().splitlines()[-1:]
            if text and MISFIT.search(text[0]):
                return self._told(self._part_of(error.__traceback__), text[0])
            return self._failure(error) if is_of_config(error, self.model) else None
        return None

    def _failure(self, error: Exception) -> Misfit:
        """An error of another kind than parts that do not fit each other."""
        place = self._place(self._part_of(error.__traceback__))
        kind = f' ({place.node["type"]})' if isinstance(place.node, Mapping) and 'type' in place.node else ''
        where = f'model{place.path}{kind}: {self.doing} with a made image ends with {type(error).__name__}'
        text = ' '.join(str(error).split())
        return Misfit(where, f'{where}: {text} (audit=dict(enable=False) leaves this trial out)', of_parts=False)

    def _look(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        name, args = self.names[id(module)], (*args, *kwargs.values())
        maps = args[0] if args and is_seq_of(args[0], Tensor) else [arg for arg in args if isinstance(arg, Tensor)]
        if not self._place(name).layer:
            self.inputs[name] = [tuple(feature.shape) for feature in maps]
            self._check_strides(name, module, maps)
            if name.endswith('head') and args and is_seq_of(args[0], Tensor):
                self._check_levels(name, module, len(maps))
        if maps:
            self._check_width(name, module, maps[0])

    def _check_width(self, name: str, module: nn.Module, given: Tensor) -> None:
        width, axis = layer_width(module)
        if width is None or given.dim() < 2 or given.shape[axis] == width:
            return
        layer = self._place(name).layer
        what = f'its layer {layer} takes' if layer else 'it takes'
        raise _Found(self._told(name, f'{what} {width}, and is given {given.shape[axis]}', width))

    def _check_levels(self, name: str, module: nn.Module, count: int) -> None:
        for key in PER_LEVEL:
            entries = getattr(module, key, None)
            if isinstance(entries, list | tuple) and len(entries) != count:
                raise _Found(
                    self._told(
                        name, f'{key} has {len(entries)} entries {list(entries)}, and {count} feature maps come in'
                    )
                )

    def _check_strides(self, name: str, module: nn.Module, maps: Sequence[Tensor]) -> None:
        strides = stated_strides(module)
        sizes = [feature.shape[-2] for feature in maps if feature.dim() == 4]
        if not strides or not sizes or len(sizes) != len(maps):
            return
        if len(strides) != len(sizes):
            raise _Found(
                self._told(name, f'it has {len(strides)} strides {strides}, and {len(sizes)} feature maps come in')
            )
        width = module.out_channels if type(module) is SingleRoIExtractor else None
        if width is not None and maps[0].shape[1] != width:
            problem = f'out_channels is {width}, and its feature maps have {maps[0].shape[1]} channels'
            raise _Found(self._told(name, problem))
        measured = [self.side / size for size in sizes]
        for stride, real, size in zip(strides, measured, sizes):
            if size > 1 and not 1 / STRIDE_TOLERANCE < stride / real < STRIDE_TOLERANCE:
                told = ', '.join(f'{value:g}' for value in measured)
                raise _Found(self._told(name, f'its strides are {strides}, and those of its feature maps {told}'))

    def _place(self, name: str) -> Place:
        """Where the part of the config is that a module belongs to."""
        node: Any = self.cfg
        keys: list[int | str] = []
        rest = name.split('.') if name else []
        while rest:
            key = int(rest[0]) if rest[0].isdigit() else rest[0]
            try:
                inner = node[key]
            except (KeyError, IndexError, TypeError):
                break
            if not isinstance(inner, Mapping | list | tuple):
                break
            node, rest = inner, rest[1:]
            keys.append(key)
        return Place(path_text(tuple(keys)), '.'.join(map(str, keys)), '.'.join(rest), node)

    def _told(self, name: str, problem: str, width: int | None = None) -> Misfit:
        """A line on a part of the model: its place, what is wrong, its arguments, what it is given, what would fit."""
        place, part, _, node = self._place(name)
        kind = f' ({node["type"]})' if isinstance(node, Mapping) and isinstance(node.get('type'), str) else ''
        texts = [f'model{place}{kind}: {problem}']
        arguments = width_arguments(node, width)
        if arguments:
            texts.append(f'the config has {", ".join(arguments)}')
        shapes = self.inputs.get(part)
        if shapes:
            texts.append(f'what comes in has {shapes_text(shapes)}')
        fitting = fitting_arguments(node, shapes or ())
        if fitting:
            texts.append(f'{" and ".join(fitting)} would fit it')
        return Misfit(f'{place}: {problem}', '; '.join(texts))

    def _part_of(self, trace: TracebackType | None) -> str:
        """The innermost module of the model in whose code an error arose."""
        name = ''
        while trace is not None:
            name = self.names.get(id(trace.tb_frame.f_locals.get('self')), name)
            trace = trace.tb_next
        return name


def layer_width(module: nn.Module) -> tuple[int | None, int]:
    """Numbers that a layer takes, None for other modules, and the axis of its input that has them."""
    if isinstance(module, _ConvNd) and type(module).forward.__module__.startswith('torch.'):
        return module.in_channels, 1
    if isinstance(module, nn.Linear):
        return module.in_features, -1
    if isinstance(module, _BatchNorm):
        return module.num_features, 1
    if isinstance(module, nn.GroupNorm):
        return module.num_channels, 1
    if isinstance(module, nn.LayerNorm):
        return module.normalized_shape[-1], -1
    if isinstance(module, nn.MultiheadAttention):
        return module.embed_dim, -1
    return None, 0


def stated_strides(module: nn.Module) -> list[float]:
    """Strides of a module's feature maps by its config, of heights; none where it states none."""
    priors = getattr(module, 'prior_generator', None)
    strides = getattr(module, 'featmap_strides', None) or getattr(priors, 'strides', None) or []
    return [stride[-1] if isinstance(stride, list | tuple) else stride for stride in strides]


def width_arguments(node: Any, width: int | None, most: int = 4) -> list[str]:
    """Arguments of a part that say how wide it is, those with the number ``width`` first."""
    found: dict[str, bool] = {}
    for keys, inner in nodes(node):
        for key, value in inner.items():
            if not isinstance(key, str) or isinstance(value, Mapping | bool):
                continue
            has = width is not None and (value == width or (isinstance(value, list | tuple) and width in value))
            if has or (not keys and WIDTHS.fullmatch(key)):
                found[f'{path_text(keys)}.{key}'.lstrip('.') + f'={value}'] = has
    return sorted(found, key=lambda text: not found[text])[:most]


def fitting_arguments(node: Any, shapes: Sequence[tuple[int, ...]]) -> list[str]:
    """``in_channels`` and ``roi_feat_size`` that a part would need for maps of these shapes, where it has others."""
    if not shapes or not isinstance(node, Mapping) or any(len(shape) != 4 for shape in shapes):
        return []
    own, widths, fitting = node.get('in_channels'), [shape[1] for shape in shapes], []
    wanted: Any = widths if isinstance(own, list | tuple) else widths[0]
    if own is not None and len(set(widths)) in (1, len(widths)) and wanted != (list(own) if wanted is widths else own):
        fitting.append(f'in_channels={wanted}')
    if len(shapes) == 1 and isinstance(node.get('roi_feat_size'), int) and node['roi_feat_size'] != shapes[0][2]:
        fitting.append(f'roi_feat_size={shapes[0][2]}')
    return fitting


def shapes_text(shapes: Sequence[tuple[int, ...]]) -> str:
    """``[(2, 16, 8, 8), (2, 32, 4, 4)]`` -> ``'2 levels of [16, 32] channels'``."""
    if not shapes or any(len(shape) != 4 for shape in shapes):
        return ' and '.join(f'shape {shape}' for shape in shapes[:2])
    if len(shapes) == 1:
        _, width, rows, columns = shapes[0]
        return f'{width} channels of {rows} x {columns}'
    return f'{len(shapes)} levels of {[shape[1] for shape in shapes]} channels'
