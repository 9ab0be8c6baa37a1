"""How to convert: what was asked for, checked, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from typing import Literal

from torch import Tensor, fx, nn

from spikesim.converters.calibration import parse_stages
from spikesim.converters.observe import Observation
from spikesim.converters.policies import NeuronPolicy, neuron_policy, signed_policy
from spikesim.converters.ranges import activation_ranges, cap_of, is_signed
from spikesim.converters.readouts import Readout, check_readout, parse_readout
from spikesim.converters.rectifier import Rectifier
from spikesim.converters.thresholds import Threshold, checked, parse_threshold
from spikesim.errors import ConfigError, TimestepsError

Granularity = Literal["channel", "layer"]


@dataclass(frozen=True)
class Recipe:
    """A checked set of choices; :meth:`of` makes one.

    Args:
        timesteps: T.
        policy: What stands for a ReLU.
        signed: What stands where analog values of both signs become spikes.
        method: Name of the threshold rule.
        rule: The threshold rule.
        signed_rule: The same for the levels of ``signed``.
        granularity: One threshold per channel or per layer.
        stages: Of the calibration, in order.
        exact: Whether the network runs until nothing moves.
        readout: How the outputs are read.

    Example:
        >>> from spikesim.converters.recipe import Recipe
        >>> recipe = Recipe.of(timesteps=4, neuron="signed_if", calibrate="weights,bias")
        >>> recipe.stages, recipe.policy.name
        (('weights', 'bias'), 'signed_if')
    """

    timesteps: int
    policy: NeuronPolicy
    signed: NeuronPolicy
    method: str
    rule: Threshold
    signed_rule: Threshold
    granularity: Granularity
    stages: tuple[str, ...]
    exact: bool
    readout: Readout

    @classmethod
    def of(
        cls,
        *,
        timesteps: int,
        neuron: str | NeuronPolicy | None = None,
        threshold: str | Threshold = "mse",
        granularity: Granularity = "channel",
        calibrate: str | Iterable[str] = ("bias",),
        exact: bool = False,
        readout: str | Readout = "membrane",
    ) -> Recipe:
        """Check all choices; the arguments are those of :func:`~spikesim.converters.convert`.

        Raises:
            TimestepsError: ``timesteps`` is no whole number of at least 1.
            ConfigError: A name is unknown, or two choices do not go together.
        """
        whole: object = timesteps
        if isinstance(whole, bool) or not isinstance(whole, Integral) or int(whole) < 1:
            raise TimestepsError(f"timesteps is {timesteps!r}, but it must be a whole number of at least 1")
        asked: str = granularity
        if asked == "neuron":
            raise ConfigError(
                "granularity is 'neuron', but neurons of a channel share the weights that read them, so that their "
                "spikes are worth the same: use 'channel', which is every neuron of a layer without places [N, C]"
            )
        if asked not in ("channel", "layer"):
            raise ConfigError(f"granularity is {granularity!r}, but it must be 'channel' or 'layer'")
        policy, stages = neuron_policy(neuron or ("st_bif" if exact else "if")), parse_stages(calibrate)
        if exact and not policy.settles:
            raise ConfigError(
                f"neuron is {policy.name!r}, which does not take back what it has sent; exact=True needs 'st_bif' or "
                "'multi_threshold'"
            )
        if "potential" in stages and (exact or not policy.starts):
            raise ConfigError(
                "calibrate='potential' sets what a neuron holds before its first step, which means nothing to "
                f"{'an exact network' if exact else repr(policy.name)}: leave it out"
            )
        signed, read = signed_policy(policy if neuron else None), parse_readout(readout)
        check_readout(read, policy, exact)
        method, rule = parse_threshold(threshold, policy.levels(int(timesteps)))
        _, signed_rule = parse_threshold(threshold, signed.levels(int(timesteps)))
        if callable(threshold):
            rule = signed_rule = partial(checked, threshold)
        return cls(int(timesteps), policy, signed, method, rule, signed_rule, granularity, stages, exact, read)

    def fitted(self, ann: fx.GraphModule) -> Recipe:
        """The same for one canonical graph: without a ReLU there, ``signed`` is what neurons are.

        Raises:
            ConfigError: The readout does not go with neurons that the graph needs.
        """
        kinds = {module.signed for module in ann.children() if isinstance(module, Rectifier)}
        if True in kinds:
            check_readout(self.readout, self.signed, self.exact)
        return replace(self, policy=self.signed, rule=self.signed_rule) if kinds == {True} else self

    @property
    def even(self) -> bool:
        """Whether a neuron's tally follows from its mean current alone, however uneven its input is."""
        return self.exact or self.policy.even

    @property
    def most(self) -> int:
        """Largest tally of a neuron."""
        return self.policy.tally(self.timesteps)

    def ranges(self, ann: fx.GraphModule, seen: Observation) -> dict[str, Tensor]:
        """Ranges of the activations by node name, ``[C]``."""
        return activation_ranges(ann, seen, self.rule, self.granularity, self.signed_rule)

    def worth(self, ann: fx.GraphModule, ranges: dict[str, Tensor]) -> dict[str, Tensor]:
        """What a spike is worth by node name, ``[C]``."""
        return {n: self._at(ann, n).worth(reach, self.timesteps, cap_of(ann, n)) for n, reach in ranges.items()}

    @property
    def builders(self) -> tuple[Callable[[], nn.Module], Callable[[], nn.Module]]:
        """What makes a neuron, for a ReLU and for both signs."""
        return partial(self.policy.build, self.timesteps), partial(self.signed.build, self.timesteps)

    def neurons(self, ann: fx.GraphModule) -> str:
        """The names of the policies that a canonical graph needs."""
        names = [n.name for n in ann.graph.nodes if isinstance(_module(ann, n), Rectifier)]
        return ", ".join(dict.fromkeys(self._at(ann, name).name for name in names)) or self.policy.name

    def _at(self, ann: fx.GraphModule, name: str) -> NeuronPolicy:
        return self.signed if is_signed(ann, name) else self.policy


def _module(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None
