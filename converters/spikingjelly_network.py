"""A network of SpikingJelly as a Network: equal spikes, all steps in one call."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from spikesim.converters.spikingjelly_neurons import HOME, is_of, neuron_of
from spikesim.dynamics.surrogates import Surrogate
from spikesim.errors import ConfigError, ConversionError
from spikesim.nn import HeldDropout, Network

_CONTAINERS = ("SeqToANNContainer", "MultiStepContainer", "StepModeContainer")
_WRAPPERS = ("layer.stateless_wrapper", "layer.bn")
_NOT_PLAIN = ("WSConv2d", "WSLinear")  # their forward changes the weights first
# Torch layers that do the same to [T, N, ...] as to [T*N, ...], so that they may stand bare in a multi-step network.
_ANY_RANK = (nn.Linear, nn.Identity, nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Dropout)


def from_spikingjelly(net: nn.Module, *, surrogate: Surrogate | None = None) -> Network:
    """A copy of a SpikingJelly network in which every neuron is one of the engine, with the same spikes at every step.

    What SpikingJelly runs step by step (``step_mode="s"``) or layer by layer (``"m"``) runs here as one call over
    ``[T, N, ...]``, from the state that ``functional.reset_net`` gives. Layers of ``layer`` become the torch layers
    that they wrap, with the same weights under the same names. Checkpoints of theirs are loaded into ``net`` before.

    Args:
        net: a module of torch layers, ``layer.*``, containers, and of ``IFNode``, ``LIFNode`` and
            ``ParametricLIFNode``. In step mode "s" its classes may be your own; in "m" only Sequentials, as a forward
            that sees ``[T, N, ...]`` would be given ``[T*N, ...]``. It is not changed.
        surrogate: surrogate gradient of every neuron, instead of that of SpikingJelly.

    Returns:
        The network, in the mode (training or evaluation) of ``net``.

    Raises:
        ConversionError: a part has no equal here; the message names it and says what to do.
        ConfigError: ``net`` is no module, or ``surrogate`` no surrogate.

    Source: Fang et al., Science Advances 9, 2023; SpikingJelly 2.0.
    """
    if not isinstance(net, nn.Module):
        raise ConfigError(f"from_spikingjelly takes a torch.nn.Module, not a {type(net).__name__}")
    if surrogate is not None and not isinstance(surrogate, Surrogate):
        raise ConfigError(
            f"surrogate is a {type(surrogate).__name__}, but it must be a spikesim surrogate, e.g. ATan()"
        )
    if not any(is_of(m, "neuron") or _own_neuron(m) for m in net.modules()):
        raise ConversionError(
            f"{type(net).__name__} has no SpikingJelly neuron; `convert` is for ANNs, and Network runs spikesim's own"
        )
    mode = _mode(net)
    walk = _Walk(surrogate, mode)
    return Network(walk.converted("", net, inside=False)).train(net.training)


class _Walk:
    """Rebuilds a tree of modules from its leaves; what occurs twice stays one."""

    def __init__(self, surrogate: Surrogate | None, mode: str) -> None:
        self.surrogate = surrogate
        self.mode = mode
        self.memo: dict[int, Any] = {}
        self.done: dict[int, nn.Module] = {}

    def converted(self, name: str, module: nn.Module, inside: bool) -> nn.Module:
        """The module that stands for another; ``inside`` is in a container that hands over single steps."""
        if id(module) not in self.done:
            label = f"'{name}'" if name else type(module).__name__
            made = self._leaf(label, module) or self._branch(name, label, module, inside)
            if module._forward_hooks or module._forward_pre_hooks:
                raise ConversionError(f"{label} has forward hooks, which the copy would not call; remove them")
            self.done[id(module)] = made.train(module.training)
        return self.done[id(module)]

    def _leaf(self, label: str, module: nn.Module) -> nn.Module | None:
        kind = type(module).__name__
        if is_of(module, "neuron") or _own_neuron(module):
            return neuron_of(label, module, self.surrogate)
        if is_of(module, "layer.dropout") and kind in ("Dropout", "Dropout2d"):
            return HeldDropout(module.p, channels=kind == "Dropout2d")  # type: ignore[arg-type]
        if kind == "VotingLayer" and is_of(module, "layer"):
            return nn.AvgPool1d(module.voting_size)  # type: ignore[arg-type]
        if any(is_of(module, part) for part in _WRAPPERS) and kind not in _NOT_PLAIN and (base := _wrapped(module)):
            return self._plain(module, base)
        return None

    def _plain(self, module: nn.Module, base: type[nn.Module]) -> nn.Module:
        """The torch layer inside a wrapper, with its very settings, whatever its constructor takes."""
        plain = base.__new__(base)
        for key, value in vars(module).items():
            if key != "_step_mode":
                plain.__dict__[key] = copy.deepcopy(value, self.memo)
        plain.__dict__["step_mode"] = "s"  # forwards of SpikingJelly's models ask their layers for it
        return plain

    def _branch(self, name: str, label: str, module: nn.Module, inside: bool) -> nn.Module:
        kind = type(module).__name__
        container = is_of(module, "layer.container")
        if is_of(module) and not is_of(module, "model") and not (container and kind in _CONTAINERS):
            raise ConversionError(f"{label}: {kind} of SpikingJelly has no equal here; replace it before")
        if container and self.mode == "s" and kind != "StepModeContainer":
            raise ConversionError(
                f"{label}: {kind} takes a sequence, but the network around it runs in step mode 's'; call "
                "functional.set_step_mode(net, 'm'), or put an nn.Sequential in its place"
            )
        timeless = kind == "SeqToANNContainer" or (
            kind == "StepModeContainer" and self.mode == "m" and not module.stateful
        )
        if container and timeless and any(_own_neuron(m) for m in module.modules()):
            raise ConversionError(
                f"{label}: a neuron inside this {kind} is given all steps as one, without time; use "
                "MultiStepContainer, or stateful=True"
            )
        sequential = isinstance(module, nn.Sequential) and (container or type(module).forward is nn.Sequential.forward)
        if not sequential and self.mode == "m" and not inside:
            if not any(True for _ in module.children()):
                return self._bare(label, module)
            raise ConversionError(
                f"{label} has a forward of its own ({kind}), which sees [T, N, ...], where it would be given "
                "[T*N, ...]; call functional.set_step_mode(net, 's') first, if it runs step by step as well, or hand "
                "over its parts as an nn.Sequential"
            )
        made = nn.Sequential() if sequential else self._shell(module)
        prefix = f"{name}." if name else ""
        for key, child in module._modules.items():
            if child is not None:
                made.add_module(key, self.converted(f"{prefix}{key}", child, inside or container))
        return made

    def _bare(self, label: str, module: nn.Module) -> nn.Module:
        if not isinstance(module, _ANY_RANK):
            raise ConversionError(
                f"{label} is a plain {type(module).__name__} in a multi-step network, where it sees [T, N, ...] and "
                "takes time for samples; use the layer of spikingjelly.activation_based.layer, or put it into a "
                "SeqToANNContainer"
            )
        return copy.deepcopy(module, self.memo)

    def _shell(self, module: nn.Module) -> nn.Module:
        """A copy of a module of the user's own without its children, which follow."""
        children = {id(child): None for child in module._modules.values() if child is not None}
        memo = {**self.memo, **children}
        copied = copy.deepcopy(module, memo)
        self.memo.update({key: value for key, value in memo.items() if key not in children})
        return copied


def _own_neuron(module: nn.Module) -> bool:
    return any(k.__module__.startswith(f"{HOME}.neuron") for k in type(module).__mro__)


def _wrapped(module: nn.Module) -> type[nn.Module] | None:
    """The torch class that a wrapper adds time to."""
    bases = [k for k in type(module).__mro__ if k.__module__.startswith("torch.nn.modules")]
    return bases[0] if bases and bases[0] is not nn.Module else None


def _mode(net: nn.Module) -> str:
    """The step mode of the parts that see time; those in containers are given single steps."""
    held = {
        id(part)
        for module in net.modules()
        if is_of(module, "layer.container")
        for part in module.modules()
        if part is not module
    }
    modes: dict[str, str] = {}
    for name, module in net.named_modules():
        mode = getattr(module, "step_mode", "m" if is_of(module, "layer.container") else None)
        if id(module) not in held and mode is not None:
            modes.setdefault(mode, name or type(module).__name__)
    if len(modes) > 1:
        raise ConversionError(
            f"'{modes['s']}' has step mode 's', but '{modes['m']}' has 'm', so that one takes time for samples; call "
            "functional.set_step_mode(net, 'm')"
        )
    return next(iter(modes), "s")
