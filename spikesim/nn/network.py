"""Network: any torch module over time, with time folded into the batch once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils import _pytree as pytree

from spikesim.dynamics import Call, Neuron, TimeAware
from spikesim.errors import ConfigError, ReuseError, ShapeError, TimestepsError
from spikesim.nn.encoders import Constant
from spikesim.nn.state import NetworkState, Run, check_state

_entering = threading.Lock()


class Network(nn.Module):
    """Run a module whose activations are neurons over a sequence ``[T, N, ...]``.

    Time is folded into the batch (``[T*N, ...]``), the module runs once, and its output is unfolded:
    convolutions, batch-norm, pooling and residual adds work untouched and at full speed, because to
    them time is batch. Every call starts at the initial state and leaves nothing behind.

    Args:
        module: any module that maps ``[T*N, ...]`` to ``[T*N, ...]``; tensors or pytrees of them.
        encoder: maps static samples ``[N, ...]`` to ``[T, N, ...]``, for example ``Constant(T)``.
        readout: maps ``[T, N, ...]`` to ``[N, ...]``, for example ``Mean()``.

    Shape:
        ``[T, N, ...]`` (``[N, ...]`` with an encoder) to ``[T, N, ...]`` (``[N, ...]`` with a readout).
        N = 0 gives an empty result.

    Raises:
        TimestepsError: T is 0, or inputs disagree about T and N.
        ShapeError: an output does not have T*N rows.
        ReuseError: one neuron was reached twice in a call, or the network is already in one (another thread, a Network
            inside a Network).

    >>> import torch
    >>> from spikesim.neurons import LIF
    >>> from spikesim.nn import Mean
    >>> net = Network(nn.Sequential(nn.Linear(4, 3), LIF()), readout=Mean())
    >>> net(torch.rand(10, 2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(self, module: nn.Module, encoder: nn.Module | None = None, readout: nn.Module | None = None) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise ConfigError(f"Network takes a torch.nn.Module, not a {type(module).__name__}")
        self.module = module
        self.encoder = encoder
        self.readout = readout

    def forward(self, x: Any, mask: Tensor | None = None) -> Any:
        """Run from the initial state.

        Args:
            x: ``[T, N, ...]`` tensor or pytree of them; ``[N, ...]`` with an encoder.
            mask: bool ``[T, N]``, True where the step is real; a masked step freezes state and is not read out.
        """
        return self._read(self._unfolded(x, mask)[0], mask)

    def unread(self, x: Any, mask: Tensor | None = None) -> Any:
        """The output before the readout, ``[T, N, ...]``: accuracy at every t from one run."""
        return self._unfolded(x, mask)[0]

    def run(self, x: Any, state: Mapping[str, Mapping[str, Tensor]] | None = None, mask: Tensor | None = None) -> Run:
        """Run with explicit state.

        Args:
            x: as in :meth:`forward`.
            state: what an earlier ``run`` returned; None for the initial state.
            mask: as in :meth:`forward`.

        Returns:
            The output, and the state after the last step.

        Raises:
            StateError: the state is of another network or another batch.
        """
        output, final = self._unfolded(x, mask, state, keep=True)
        return Run(self._read(output, mask), final)

    def stream(self, detach: bool = True) -> Stream:
        """A session that keeps state between chunks of one recording.

        Args:
            detach: cut the gradient at chunk borders (truncated backpropagation through time).
        """
        return Stream(self, detach)

    def neurons(self) -> dict[str, Neuron]:
        """Neurons by their qualified name inside ``module``."""
        return {name: m for name, m in self.module.named_modules() if isinstance(m, Neuron)}

    def _read(self, output: Any, mask: Tensor | None) -> Any:
        readout = self.readout
        if readout is None:
            return output
        # A readout of the user's own need not know about masks unless there is one.
        return pytree.tree_map(lambda y: readout(y) if mask is None else readout(y, mask), output)

    def _unfolded(
        self,
        x: Any,
        mask: Tensor | None = None,
        state: Mapping[str, Mapping[str, Tensor]] | None = None,
        keep: bool = False,
    ) -> tuple[Any, NetworkState]:
        constant = self.encoder if isinstance(self.encoder, Constant) and self.encoder.hoist else None
        if self.encoder is not None and constant is None:
            x = self.encoder(x)
        leaves, structure = pytree.tree_flatten(x)
        if constant is not None:
            timesteps, samples = constant.timesteps, _samples(leaves)
        else:
            timesteps, samples = _time_and_samples(leaves)
            leaves = [leaf.flatten(0, 1) for leaf in leaves]
        _check_mask(mask, timesteps, samples)
        aware = {n: m for n, m in self.module.named_modules() if isinstance(m, TimeAware)}
        if state is not None:
            check_state(state, {n: m.states for n, m in aware.items() if isinstance(m, Neuron)})
        if mask is not None:
            _refuse_norms_in_training(self.module)
        inputs = pytree.tree_unflatten([self._layout(leaf) for leaf in leaves], structure)
        call = Call(samples, constant=constant is not None, keep=keep, state=state, mask=mask)
        _enter(aware, timesteps, call)
        try:
            folded = self.module(inputs)
        finally:
            for module in aware.values():
                module.timesteps = None
                if isinstance(module, Neuron):
                    module.call = None
        unfold = self._unfolder(timesteps, samples)
        return pytree.tree_map(unfold, folded), NetworkState(call.final)

    def _layout(self, x: Tensor) -> Tensor:
        # Convolutions and pools are faster channels-last, and kernels do not mind.
        if x.dim() == 4 and any(isinstance(m, nn.Conv2d) for m in self.module.modules()):
            return x.contiguous(memory_format=torch.channels_last)
        return x

    def _unfolder(self, timesteps: int, samples: int) -> Callable[[Any], Any]:
        name = type(self.module).__name__

        def unfold(y: Any) -> Any:
            if not isinstance(y, Tensor):
                return y
            if y.dim() == 0 or y.shape[0] != timesteps * samples:
                raise ShapeError(
                    f"{name} returned shape {tuple(y.shape)}, but its first size must be T*N = {timesteps}*{samples}: "
                    "keep time folded into the batch, and give it at least one neuron if the encoder hoists"
                )
            return y.reshape(timesteps, samples, *y.shape[1:])

        return unfold


class Stream:
    """A session over chunks of the same recordings; made by :meth:`Network.stream`.

    Call it with ``[t, N, ...]`` chunks of any length; it returns what the module gives, ``[t, N, ...]``,
    before the readout. ``state`` is what it carries; ``reset()`` starts afresh.

    >>> import torch
    >>> from spikesim.neurons import IF
    >>> net, x = Network(IF()), torch.rand(6, 1, 3)
    >>> session = net.stream()
    >>> torch.equal(torch.cat([session(x[:2]), session(x[2:])]), net(x))
    True
    """

    def __init__(self, network: Network, detach: bool = True) -> None:
        self.network = network
        self.detach = detach
        self.state: NetworkState | None = None

    def __call__(self, x: Any, mask: Tensor | None = None) -> Any:
        """Advance by one chunk.

        Raises:
            StateError: the batch has another shape than the state carried so far.
        """
        output, state = self.network._unfolded(x, mask, self.state, keep=True)
        self.state = state.detach() if self.detach else state
        return output

    def reset(self) -> None:
        """Forget the state: the next chunk starts a new recording."""
        self.state = None


def _enter(aware: Mapping[str, TimeAware], timesteps: int, call: Call) -> None:
    if torch.compiler.is_compiling():
        _mark(aware, timesteps, call)
        return
    # Checking and marking are one step, so that of two threads one is refused, never both served wrongly.
    with _entering:
        _mark(aware, timesteps, call)


def _mark(aware: Mapping[str, TimeAware], timesteps: int, call: Call) -> None:
    for name, module in aware.items():
        if module.timesteps is not None:
            raise ReuseError(
                f"'{name}' is already in a call: give an outer Network the inner one's `module`, and each thread a "
                "copy.deepcopy of the network"
            )
    for name, module in aware.items():
        module.timesteps = timesteps
        if isinstance(module, Neuron):
            module.call, module.path = call, name


def _time_and_samples(leaves: list[Any]) -> tuple[Any, Any]:
    _check_leaves(leaves, 2, "[T, N, ...]")
    timesteps, samples = leaves[0].shape[:2]
    for leaf in leaves[1:]:
        if leaf.shape[0] != timesteps or leaf.shape[1] != samples:
            raise TimestepsError(
                f"inputs disagree about [T, N]: {(timesteps, samples)} and {tuple(leaf.shape[:2])}; every input needs "
                "the same"
            )
    if timesteps == 0:
        raise TimestepsError("the input has T = 0 time steps; give it at least one")
    return timesteps, samples


def _samples(leaves: list[Any]) -> Any:
    _check_leaves(leaves, 1, "[N, ...]")
    samples = leaves[0].shape[0]
    for leaf in leaves[1:]:
        if leaf.shape[0] != samples:
            raise TimestepsError(f"inputs disagree about N: {samples} and {leaf.shape[0]}; every input needs the same")
    return samples


def _check_leaves(leaves: list[Any], dims: int, form: str) -> None:
    if not leaves:
        raise ShapeError(f"the input holds no tensor; it must be {form}")
    for leaf in leaves:
        if not isinstance(leaf, Tensor) or leaf.dim() < dims:
            got = tuple(leaf.shape) if isinstance(leaf, Tensor) else type(leaf).__name__
            raise ShapeError(f"the input holds {got}, but every tensor must be {form}")


def _check_mask(mask: Tensor | None, timesteps: int, samples: int) -> None:
    if mask is not None and (mask.dtype != torch.bool or tuple(mask.shape) != (timesteps, samples)):
        raise ShapeError(
            f"mask is {mask.dtype} {tuple(mask.shape)}, but it must be torch.bool [T, N] = {(timesteps, samples)}"
        )


def _refuse_norms_in_training(module: nn.Module) -> None:
    for name, m in module.named_modules():
        if isinstance(m, _BatchNorm) and m.training:
            raise ConfigError(
                f"'{name}' ({type(m).__name__}) is in training mode and would take masked time steps into its "
                "statistics; call .eval() on it, or train without a mask"
            )
