"""Follow one run of a model: which batch-norm reads exactly what one layer gave, and nobody else does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from spikesim.dynamics import TimeAware

# Rank of the result whose axis 1 is the layer's own output axis: elsewhere batch-norm is along another one.
_RANK: dict[type[nn.Module], int] = {nn.Linear: 2, nn.Conv1d: 3, nn.Conv2d: 4, nn.Conv3d: 5}
_FORWARDS = {kind.forward: rank for kind, rank in _RANK.items()}
_NORM_FORWARDS = {_BatchNorm.forward, nn.SyncBatchNorm.forward}
_HARMLESS = {
    "size", "dim", "ndimension", "numel", "stride", "is_contiguous", "is_floating_point", "is_complex", "is_neg",
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """A layer and the batch-norm that alone reads its result.

    Args:
        layer: an ``nn.Linear`` or convolution.
        norm: a batch-norm with recorded statistics.
    """

    layer: nn.Module
    norm: nn.Module


class Follower(TorchFunctionMode):
    """Finds the pairs of a model in eval mode during one run.

    Args:
        model: hooks stay on it only while :meth:`run` does.
        agrees: told a pair, the layer's input and the norm's result; whether the pair may be folded.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.models.follow import Follower
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()
        >>> follower = Follower(model, lambda pair, x, result: True)
        >>> follower.run(model, torch.rand(4, 2)).shape
        torch.Size([4, 3])
        >>> follower.pairs()[0].norm is model[1]
        True
    """

    def __init__(self, model: nn.Module, agrees: Callable[[Pair, torch.Tensor, torch.Tensor], bool]) -> None:
        super().__init__()
        self._agrees = agrees
        self._ranks = {m: _FORWARDS[type(m).forward] for m in model.modules() if _is_layer(m)}
        self._norms = {m for m in model.modules() if _is_norm(m)}
        self._others = [m for m in model.modules() if isinstance(m, TimeAware) or not any(m.children())]
        self._owners: dict[int, set[nn.Module]] = {}
        for module in (*self._ranks, *self._norms):
            for tensor in (*module.parameters(), *module.buffers()):
                self._owners.setdefault(id(tensor), set()).add(module)
        self._calls: Counter[nn.Module] = Counter()
        self._spoiled: set[nn.Module] = set()
        self._inputs: dict[nn.Module, torch.Tensor] = {}
        # The results are kept, so that no other tensor comes to stand at the address of one.
        self._results: dict[int, tuple[torch.Tensor, nn.Module]] = {}
        self._pairs: list[Pair] = []
        self._running: list[nn.Module] = []
        self._paused = False

    def run(self, model: nn.Module, x: Any) -> Any:
        """Run the model and follow it; gives what the model gives."""
        with ExitStack() as stack:
            for module in self._others:
                if module not in self._ranks and module not in self._norms:
                    stack.callback(module.register_forward_pre_hook(self._read, with_kwargs=True).remove)
            for module in (*self._ranks, *self._norms):
                stack.callback(module.register_forward_pre_hook(self._enter).remove)
                stack.callback(module.register_forward_hook(self._leave).remove)
            with self:
                out = model(x)
        for tensor in tree_leaves(out):
            if id(tensor) in self._results:  # the model gives it to its caller
                self._spoiled.add(self._results[id(tensor)][1])
        self._results.clear()
        return out

    def pairs(self) -> list[Pair]:
        """The pairs of which nobody else reads a part."""
        return [
            pair
            for pair in self._pairs
            if not {pair.layer, pair.norm} & self._spoiled and self._calls[pair.layer] == self._calls[pair.norm] == 1
        ]

    def _read(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._use((args, kwargs))

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self._calls[module] += 1
        self._running.append(module)
        if module in self._ranks and args:
            self._inputs[module] = args[0]

    def _leave(self, module: nn.Module, args: tuple[Any, ...], out: torch.Tensor) -> None:
        self._running.pop()
        if module in self._ranks:
            self._results[id(out)] = (out, module)
            return
        _, layer = self._results.get(id(args[0]), (None, None)) if args else (None, None)
        if layer is None:
            return
        if args[0].dim() != self._ranks[layer] or layer not in self._inputs:  # or a second norm reads the result
            self._spoiled.add(layer)
            return
        pair = Pair(layer, module)
        self._paused = True
        if self._agrees(pair, self._inputs.pop(layer), out):
            self._pairs.append(pair)
        else:
            self._spoiled.add(layer)
        self._paused = False

    def _use(self, arguments: Any) -> None:
        """Note who reads results of layers, and parameters, that are not its own."""
        running = self._running[-1] if self._running else None
        for tensor in tree_leaves(arguments):
            if id(tensor) in self._results and running not in self._norms:
                self._spoiled.add(self._results[id(tensor)][1])
            owners = self._owners.get(id(tensor), set())
            if owners and (len(owners) > 1 or running not in owners):
                self._spoiled |= owners

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Execute one function of torch and note what it reads."""
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        asks = name in _HARMLESS or (name == "__get__" and not isinstance(out, torch.Tensor))
        if not self._paused and not asks:
            self._use((args, kwargs))
        return out


def _is_layer(module: nn.Module) -> bool:
    return type(module).forward in _FORWARDS and _is_plain(module)


def _is_norm(module: nn.Module) -> bool:
    if not isinstance(module, _BatchNorm) or type(module).forward not in _NORM_FORWARDS:
        return False
    return module.running_mean is not None and _is_plain(module)


def _is_plain(module: nn.Module) -> bool:
    """Whether nothing stands between the module's parameters and its result: hooks, parametrisations."""
    return not (module._forward_hooks or module._forward_pre_hooks or hasattr(module, "parametrizations"))
