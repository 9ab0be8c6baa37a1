"""Network: any torch module over time, with time folded into the batch once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from spikesim.dynamics import Call, Neuron, Stateful, TimeAware
from spikesim.errors import ConfigError, ReuseError, ShapeError
from spikesim.nn.checks import check_finite, check_mask, samples_of, time_and_samples
from spikesim.nn.chunks import check_chunk, in_chunks
from spikesim.nn.encoders import Constant
from spikesim.nn.fuse import fusing
from spikesim.nn.masked_norm import leaving_out
from spikesim.nn.mistakes import explained
from spikesim.nn.monitor import DEFAULT_BUDGET, Monitor, run_uncompiled, run_watched
from spikesim.nn.packing import SpikePacker
from spikesim.nn.readouts import Count, DelayedMean
from spikesim.nn.selection import Indices
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
        pack_spikes: in training, keep the spikes that weight gradients need as bits: less memory, a little more time.
        fuse: run batch-norm, neuron and 2x2 pool as one kernel where they stand in this order in an ``nn.Sequential``
            (:mod:`spikesim.nn.fuse`): the same results up to rounding, in less time and memory.
        checkpoint_time: where a gradient is wanted, run so many time steps at once and compute them again in the
            backward: the same gradients in the memory of so many steps, for one more forward. Compiled calls are not
            split.

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

    _monitors: tuple[Monitor, ...] = ()  # the open recordings
    fuse: bool = True
    checkpoint_time: int | None = None
    sources: Mapping[str, str] = MappingProxyType({})
    """Layer of ``module`` -> layer of the model that it was made from, where a converter knows."""

    def __init__(
        self,
        module: nn.Module,
        encoder: nn.Module | None = None,
        readout: nn.Module | None = None,
        *,
        pack_spikes: bool = False,
        fuse: bool = True,
        checkpoint_time: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise ConfigError(f"Network takes a torch.nn.Module, not a {type(module).__name__}")
        self.module = module
        self.encoder = encoder
        self.readout = readout
        self.pack_spikes = pack_spikes
        self.fuse = fuse
        self.checkpoint_time = check_chunk(checkpoint_time, pack_spikes)

    def forward(self, x: Any, mask: Tensor | None = None) -> Any:
        """Run from the initial state.

        Args:
            x: ``[T, N, ...]`` tensor or pytree of them; ``[N, ...]`` with an encoder.
            mask: bool ``[T, N]``, True where the step is real; a masked step freezes state and is not read out.
        """
        return self.read_out(self._unfolded(x, mask)[0], mask)

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
        return Run(self.read_out(output, mask), final)

    def over_time(self, x: Any) -> tuple[Network, Any, Tensor | None]:
        """A network that can be watched step by step, its input and its mask, which do what this one does with ``x``.

        A network whose number of steps depends on its input runs to find it; every other is its own.

        Args:
            x: as in :meth:`forward`.
        """
        return self, x, None

    def held_layers(self) -> Sequence[str]:
        """Names of layers whose outputs stay the same from step to step, and have to be computed once."""
        return ()

    def counted_steps(self, timesteps: int) -> range:
        """Which of so many steps the readout takes into account; those before a delay are left out.

        Args:
            timesteps: how many run.

        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import DelayedMean
        >>> Network(IF(), readout=DelayedMean(3)).counted_steps(8)
        range(3, 8)
        """
        late = isinstance(self.readout, (Count, DelayedMean))
        return range(self.readout.delay if late else 0, timesteps)  # type: ignore[union-attr, arg-type]

    def stream(self, detach: bool = True) -> Stream:
        """A session that keeps state between chunks of one recording.

        Args:
            detach: cut the gradient at chunk borders (truncated backpropagation through time).
        """
        return Stream(self, detach)

    def record(
        self,
        *layers: str,
        spikes: bool = True,
        states: str | Iterable[str] = (),
        neurons: Indices | Mapping[str, Indices] | None = None,
        samples: int | Sequence[int] | Tensor | None = None,
        every: int = 1,
        last: int | None = None,
        budget: int = DEFAULT_BUDGET,
        device: str | torch.device | None = "cpu",
    ) -> Monitor:
        """Record spikes and states of chosen neurons in a ``with`` block, without changing any result.

        What is recorded are detached copies. Spikes are copied as they are emitted; states are found by running
        the layer a second time over what it received, from the same initial state, without a gradient.

        Args:
            layers: qualified names as in :meth:`neurons`; none for all.
            spikes: whether to record what the neurons emit.
            states: names of states, for example ``"v"``; ``"all"`` for every state. A state is the value after the
                step, so after the reset. Without named layers it is recorded wherever a layer has it.
            neurons: indices through one sample in row-major order, or coordinates ``[(c, y, x), ...]``; a mapping
                from layer to indices; None for all.
            samples: indices of the samples; None for all.
            every: record steps 0, ``every``, 2 ``every``, ..., counted from the last fresh start, over chunks.
            last: keep only the newest so many recorded steps of each layer, and count what was dropped.
            budget: bytes that the recording may hold; a call that would exceed them is refused before they are
                allocated.
            device: where it is kept; None for where the layer runs.

        Raises:
            ConfigError: an unknown layer or state, nothing to record, a count below 1; in a call: the budget is
                exceeded, or the call is traced (export, torch.func transforms). A ``torch.compile``d network runs
                uncompiled inside the block, and raises under ``fullgraph=True``.
            ShapeError: in a call: an index lies outside the layer.
            ReuseError: the same recording is entered twice.

        >>> import torch
        >>> from spikesim.neurons import LIF
        >>> net = Network(nn.Sequential(nn.Linear(4, 3), LIF()))
        >>> with net.record("1", states="v", neurons=[0, 2]) as recording:
        ...     _ = net(torch.rand(10, 2, 4))
        >>> recording["1"].spikes.shape, recording["1"].states["v"].shape
        (torch.Size([10, 2, 2]), torch.Size([10, 2, 2]))
        """
        return Monitor(
            self,
            layers,
            spikes=spikes,
            states=states,
            neurons=neurons,
            samples=samples,
            every=every,
            last=last,
            budget=budget,
            device=device,
        )

    def __getstate__(self) -> dict[str, Any]:
        # A copy or a pickle made while recording is not recorded.
        return {name: value for name, value in self.__dict__.items() if name != "_monitors"}

    def neurons(self) -> dict[str, Neuron]:
        """Neurons by their qualified name inside ``module``."""
        return {name: m for name, m in self.module.named_modules() if isinstance(m, Neuron)}

    def read_out(self, output: Any, mask: Tensor | None = None) -> Any:
        """What the readout makes of the output of :meth:`unread`; that output itself where there is no readout."""
        readout = self.readout
        if readout is None:
            return output
        # A readout of the user's own need not know about masks unless there is one.
        read = readout if mask is None else lambda y: readout(y, mask)
        return pytree.tree_map_only(Tensor, read, output)  # None among several outputs stays

    def _unfolded(
        self,
        x: Any,
        mask: Tensor | None = None,
        state: Mapping[str, Mapping[str, Tensor]] | None = None,
        keep: bool = False,
    ) -> tuple[Any, NetworkState]:
        if self._monitors and torch.compiler.is_compiling():
            return run_uncompiled(self._once, x, mask, state, keep)
        return self._once(x, mask, state, keep)

    def _once(
        self, x: Any, mask: Tensor | None, state: Mapping[str, Mapping[str, Tensor]] | None, keep: bool
    ) -> tuple[Any, NetworkState]:
        constant = self.encoder if isinstance(self.encoder, Constant) and self.encoder.hoist else None
        if isinstance(self.encoder, Constant) and self.encoder.finite:
            check_finite(pytree.tree_leaves(x))
        if self.encoder is not None and constant is None:
            x = self.encoder(x)
        given, structure = pytree.tree_flatten(x)
        if constant is not None:
            timesteps, samples = constant.timesteps, samples_of(given)
            leaves = given
        else:
            timesteps, samples = time_and_samples(given)
            leaves = [leaf.flatten(0, 1) for leaf in given]
        check_mask(mask, timesteps, samples, leaves[0].device)
        aware = {n: m for n, m in self.module.named_modules() if isinstance(m, TimeAware)}
        if state is not None:
            names = {n: m.state_names() for n, m in aware.items() if isinstance(m, Stateful)}
            check_state(state, names, leaves[0].device)
        rows, hoisted = [self._layout(leaf) for leaf in leaves], constant is not None

        def run(rows: Any, steps: int, mask: Tensor | None, state: Any) -> tuple[Any, dict[str, dict[str, Tensor]]]:
            # Also what a checkpoint calls again: the time attribute is that of the chunk, set in here.
            call = Call(samples, constant=hoisted, keep=keep or every is not None, state=state, mask=mask)
            folded = self._passed(pytree.tree_unflatten(rows, structure), aware, steps, call)
            return pytree.tree_map(self._unfolder(steps, samples), folded), call.final

        every = self._chunk(timesteps) if samples else None
        try:
            if every is not None:
                out, final = in_chunks(run, self.module, rows, timesteps, every, mask, state, hoisted)
            else:
                out, final = run(rows, timesteps, mask, state)
        except (RuntimeError, ValueError) as error:
            mistake = None if torch.compiler.is_compiling() else explained(error, self.module, given, leaves)
            if mistake is None:
                raise
            raise mistake from error
        return out, NetworkState(final if keep else None)

    def _chunk(self, timesteps: int) -> int | None:
        """Steps of a chunk, or None where all steps run at once."""
        if self.checkpoint_time is None or torch.compiler.is_compiling() or not torch.is_grad_enabled():
            return None
        return self.checkpoint_time if timesteps > self.checkpoint_time else None

    def _passed(self, inputs: Any, aware: Mapping[str, TimeAware], timesteps: int, call: Call) -> Any:
        packer = SpikePacker() if self.pack_spikes and not torch.compiler.is_compiling() else None
        call.spikes = packer.add if packer is not None else None
        _enter(aware, timesteps, call)
        try:
            hooks = packer.hooks() if packer is not None else nullcontext()
            fused = fusing(self.module) if self.fuse and not torch.compiler.is_compiling() else nullcontext()
            with hooks, fused, leaving_out(self.module, call.mask):
                return run_watched(self._monitors, self.module, inputs, aware, timesteps, fresh=call.state is None)
        finally:
            for module in aware.values():
                module.timesteps = None
                if isinstance(module, Stateful):
                    module.call = None

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
        if isinstance(module, Stateful):
            module.call, module.path = call, name
