"""What a conversion did: layers, thresholds, rates, proof and accuracy, as a table and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from spikesim.converters.audit import Audit
from spikesim.converters.certificate import Certificate
from spikesim.converters.error_parts import REMEDIES, ErrorParts
from spikesim.converters.expense import Expense
from spikesim.converters.latency import Latency
from spikesim.converters.proof import Proof
from spikesim.errors import ConfigError, ConversionError
from spikesim.viz import write_text

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table


class LayerReport(BaseModel):
    """One spiking layer.

    Args:
        name: Node name in the converted graph.
        kind: Neuron class.
        shape: Shape of one sample.
        cap: Largest output of the activation it replaces (ReLU6: 6), or None.
        threshold_min: Smallest threshold over channels, in the ANN's scale.
        threshold_median: Median threshold.
        threshold_max: Largest threshold.
        dead_channels: Channels silent on all calibration data; they get the layer's largest threshold.
        zero_fraction: Share of zero activations in the ANN.
        firing_rate: Share of the time steps with a spike, on a few calibration samples.
        spikes_per_sample: Spikes of the layer per sample in all T steps.
        bias_shift: Mean absolute bias correction as a fraction of the threshold; None if not corrected.
        identity_error: How far the layer is from ``r = W r + b - (v(T) - v(0))/T``, relative.
        error: Where its error comes from, at T.
        error_at: The same for a network that is read after t = 1, 2, 4, ..., T steps.

    Example:
        >>> from spikesim.converters.report import LayerReport
        >>> sorted(LayerReport.model_fields)[:3]
        ['bias_shift', 'cap', 'dead_channels']
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: str
    shape: tuple[int, ...]
    cap: float | None
    threshold_min: float
    threshold_median: float
    threshold_max: float
    dead_channels: int
    zero_fraction: float
    firing_rate: float
    spikes_per_sample: float
    bias_shift: float | None
    identity_error: float
    error: ErrorParts
    error_at: dict[int, ErrorParts] = {}


class Accuracy(BaseModel):
    """Accuracy on labelled data, as fractions.

    Args:
        samples: Number of samples.
        ann: Accuracy of the ANN; None where it was not at hand.
        snn: Accuracy of the spiking network when it is read after t = 1, ..., T steps, all from one run.
        settled: Accuracy once nothing moves, for an exact conversion.
        expense: Spikes and energy at the same steps of the same run; None if they were not counted.

    Example:
        >>> from spikesim.converters.report import Accuracy
        >>> Accuracy(samples=10, ann=0.9, snn=[0.5, 0.9]).lost(2)
        0.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int
    ann: float | None
    snn: list[float]
    settled: float | None = None
    expense: Expense | None = None

    def lost(self, t: int) -> float:
        """Points of accuracy lost against the ANN when read after ``t`` steps, 0 to 100.

        Raises:
            ConfigError: The accuracy of the ANN was not measured.
        """
        return self._beside(self.snn[t - 1])

    @property
    def final(self) -> float:
        """Accuracy of the answer that the network gives: once it has settled, or after T steps."""
        return self.snn[-1] if self.settled is None else self.settled

    @property
    def final_lost(self) -> float:
        """Points of accuracy that this answer loses against the ANN."""
        return self._beside(self.final)

    def _beside(self, value: float) -> float:
        if self.ann is None:
            raise ConfigError("the accuracy of the ANN was not measured; expected measure(network, data, ann)")
        return 100.0 * (self.ann - value)


class ConversionReport(BaseModel):
    """Everything a conversion measured. Prints as tables on a rich console.

    Args:
        schema_version: Version of the JSON form.
        model: Class name of the ANN.
        timesteps: T.
        wait: Steps before the T that count (SRP, a delayed readout).
        readout: How the outputs are read: "membrane", "count", "delayed(k)".
        latency: All steps until the answer.
        neuron: Policy, see :func:`spikesim.converters.neuron_policy`.
        threshold: Threshold rule.
        granularity: One threshold per channel or per layer.
        calibration: "none", or the stages with the number of samples.
        output_bias_shift: Mean absolute correction of the output, in its own unit; None if not corrected.
        calibration_samples: Samples observed.
        calibration_digest: SHA-256 of their values, in order, whatever the batches.
        folding_error: Largest difference between the ANN and its folded form, relative to the largest output.
        hoisted: Whether the layers before the first neuron run once instead of T times.
        layers: The spiking layers.
        proof: What a walk over the converted graph found.
        certificate: Of an exact conversion, else None.
        accuracy: None without ``evaluate=``.
        audit: Verdict on each operation of the ANN.
        versions: Of spikesim and torch.

    Example:
        >>> from spikesim.converters import ConversionReport
        >>> ConversionReport.model_fields["schema_version"].default
        3
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[3] = 3
    model: str
    timesteps: int
    wait: int
    readout: str
    latency: Latency
    neuron: str
    threshold: str
    granularity: Literal["channel", "layer"]
    calibration: str
    output_bias_shift: float | None
    calibration_samples: int
    calibration_digest: str
    folding_error: float
    hoisted: bool
    layers: list[LayerReport]
    proof: Proof
    certificate: Certificate | None
    accuracy: Accuracy | None
    audit: Audit
    versions: dict[str, str]

    @property
    def spiking_layers(self) -> int:
        """Number of neuron layers."""
        return self.proof.spiking_layers

    def to_json(self) -> str:
        """The report as JSON."""
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, text: str) -> ConversionReport:
        """Read what :meth:`to_json` wrote.

        Raises:
            ConversionError: The text is no report of this schema version.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise ConversionError(f"this is no conversion report of schema version 3: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write the report as JSON, atomically.

        Args:
            path: The file to write.
        """
        write_text(path, self.to_json())

    def layer_table(self) -> Table:
        """One row per spiking layer."""
        from rich.markup import escape
        from rich.table import Table

        rule = f"thresholds by {self.threshold} per {self.granularity}"
        title = f"{self.spiking_layers} spiking layers, T={self.timesteps}, neurons {self.neuron}, {rule}"
        heads = (
            "layer",
            "shape",
            "threshold (min, median, max)",
            "dead",
            "rate",
            "spikes/sample",
            "error",
            "mostly",
        )
        table = Table(*heads, title=title)
        for layer in self.layers:
            thresholds = f"{layer.threshold_min:.3g}, {layer.threshold_median:.3g}, {layer.threshold_max:.3g}"
            shape = " x ".join(map(str, layer.shape))
            rate, spikes = f"{layer.firing_rate:.3f}", f"{layer.spikes_per_sample:.0f}"
            error = f"{layer.error.total:.3f}", layer.error.worst
            table.add_row(escape(layer.name), shape, thresholds, str(layer.dead_channels), rate, spikes, *error)
        count = len(self.proof.max_pools)
        table.caption = (
            f"calibration: {self.calibration}. {self._left()} "
            f"{count} max-pool{'s' * (count != 1)} {'act' if count != 1 else 'acts'} on currents or their running sums"
            f"{': ' * bool(count)}{', '.join(self.proof.max_pools)}. {self.advice()}"
        )
        return table

    def _left(self) -> str:
        """What is analog beside currents."""
        kept = self.proof.analog_nonlinearities
        if not kept:
            return "No activation function is left beside the neurons;"
        few = ", ".join(kept[:6]) + (f" and {len(kept) - 6} more" if len(kept) > 6 else "")
        return f"ANALOG, on running means, and priced as such: {few}; no other activation function is left;"

    def advice(self) -> str:
        """The layer that adds most to the error, what kind of error it is, and what to try."""
        own = {layer.name: getattr(layer.error, layer.error.worst) for layer in self.layers}
        name = max(own, key=own.__getitem__)
        worst = next(layer for layer in self.layers if layer.name == name).error.worst
        return (
            f"Errors are relative to the activations. The largest that a layer adds of its own is {worst} in "
            f"'{name}' ({own[name]:.3f}): try {REMEDIES[worst]}."
        )

    def certificate_line(self) -> str | None:
        """What the certificate says, in a sentence; None without one."""
        found = self.certificate
        if found is None:
            return None
        verdict = "Exact" if found.exact else "NOT exact"
        if found.exact and not found.exact_float32:
            verdict = "Exact but for single precision, which rounds some current across a level"
        waited = f"{found.drained} steps after T = {self.timesteps}"
        ended = f"settled {waited}" if found.settled else f"still moving {waited}"
        return (
            f"{verdict}: against the ANN with quantised activations {found.difference:.1e} in double, "
            f"{found.difference_float32:.1e} in single precision, on {found.samples} samples; {ended}."
        )

    def accuracy_table(self) -> Table | None:
        """Accuracy, spikes and energy after 1, 2, 4, ... and T steps beside the ANN's; None if not measured."""
        from spikesim.converters.report_tables import accuracy_table

        return None if self.accuracy is None else accuracy_table(self.accuracy, self.timesteps)

    def error_table(self) -> Table:
        """The error of every layer against T, with the largest of its own parts."""
        from spikesim.converters.report_tables import error_table

        return error_table(self.layers)

    def __rich__(self) -> Group:
        """What a rich console prints."""
        from rich.console import Group

        latency = f"Latency: {self.latency.describe()}. Readout: {self.readout}."
        shown: list[Table | str | None] = [self.layer_table(), latency, self.error_table(), self.certificate_line()]
        return Group(*(part for part in [*shown, self.accuracy_table()] if part is not None))
