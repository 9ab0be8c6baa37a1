"""Everything that decides the outcome of a training run, validated before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spikesim.errors import ConfigError, SpikesimError, TimestepsError


class TrainConfig(BaseModel):
    """The settings of one run; unknown keys are refused.

    Raises:
        TimestepsError: fewer than one time step.
        ConfigError: any other value outside its range, or an unknown key; the message names each.

    Example:
        >>> from spikesim.training import TrainConfig
        >>> TrainConfig(data="recordings", learning_rate=0.1)
        Traceback (most recent call last):
        spikesim.errors.ConfigError: training settings: learning_rate: unknown; ...
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path = Field(
        description="Folder of recordings, as Train/CLASS/NAME.bin and Test/CLASS/NAME.bin, or that holds --dataset."
    )
    dataset: str | None = Field(
        None, description="Name in the catalogue of datasets (spikesim datasets list), such as dvsgesture."
    )
    protocol: str | None = Field(None, description="How the dataset of that name is split; its usual way by default.")
    out: Path = Field(Path("runs/conv_snn"), description="Folder that receives the run.")
    model: str = Field(
        "conv_snn",
        description="A network of spikesim.models, package.module:factory of a spikesim Network, or a folder "
        "written by spikesim convert --output, to go on training it.",
    )
    width: int = Field(32, ge=1, description="Channels of conv_snn's first layer.")
    tau: float = Field(2.0, ge=1.0, description="conv_snn's membrane time constant, in time steps.")
    timesteps: int = Field(10, ge=1, description="Frames per recording, T.")
    frames: Literal["time", "count"] = Field(
        "time",
        description="Frames of equal duration (time) or of equal event count (count).",
    )
    epochs: int = Field(25, ge=1, description="Passes over the training set.")
    batch_size: int = Field(32, ge=1, description="Recordings per optimiser step, of every device.")
    accumulate: int = Field(1, ge=1, description="Batches whose gradients are averaged for one optimiser step.")
    loss: Literal["readout", "mean", "count", "max", "last", "step", "count_mse"] = Field(
        "readout",
        description="Cross-entropy of what the network's readout gives, or of the mean, count, largest or last score "
        "over time, or of every step (TET); or count_mse.",
    )
    rule: Literal["bptt", "ottt", "sltt"] = Field(
        "bptt",
        description="Gradients go back through all steps (bptt), or are taken online, step by step (ottt, sltt).",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread over all classes.")
    rate_penalty: float = Field(0.0, ge=0, description="Weight of the penalty on firing rates outside their band.")
    rate_low: float = Field(0.0, ge=0, description="Least spikes per neuron and step that cost nothing.")
    rate_high: float = Field(0.2, ge=0, description="Most spikes per neuron and step that cost nothing.")
    synop_penalty: float = Field(
        0.0, ge=0, description="Weight of the penalty on synaptic operations, per connection and recording."
    )
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="adamw, or sgd with Nesterov momentum 0.9.")
    lr: float = Field(4e-3, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(1e-2, ge=0, description="Decay of weight matrices and kernels.")
    clip: float = Field(0.0, ge=0, description="Largest norm of the gradient; 0 does not clip.")
    ema: float = Field(0.0, ge=0, lt=1, description="Decay of the moving average of weights that is kept; 0 for none.")
    patience: int = Field(0, ge=0, description="Stop after so many epochs without a better one; 0 never stops early.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16 computes layers in half precision; potentials and weights stay float32."
    )
    compile: bool = Field(False, description="Compile the network with torch.compile.")
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of all steps in which the learning rate rises.")
    shift: int = Field(2, ge=0, description="Training frames are moved by up to this many pixels.")
    val_fraction: float = Field(
        0.15, gt=0, lt=1, description="Share of the training recordings held out to select the weights."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of split, weights, order and shifts.")
    workers: int = Field(0, ge=0, description="Processes that prepare batches; 0 is this one.")
    tensorboard: bool = Field(False, description="Write the metrics for TensorBoard, too.")
    threads: int | None = Field(None, ge=1, description="CPU threads.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU where there is one.")
    devices: int = Field(1, ge=1, description="Processes on this machine, each on its own GPU, or all on the CPU.")
    strategy: Literal["ddp", "fsdp"] | None = Field(
        None,
        description="How several devices train one network: ddp shares out the samples; fsdp the weights too, on GPUs.",
    )
    sync_batchnorm: bool = Field(
        False, description="Batch-norm takes its statistics over the samples of all devices; needs GPUs."
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _readable(error) from None
        if self.rate_penalty and self.rate_low > self.rate_high:
            raise ConfigError(
                f"training settings: rate_low is {self.rate_low:g} and rate_high {self.rate_high:g}; expected a band, "
                "rate_low <= rate_high"
            )
        if self.label_smoothing and self.loss == "count_mse":
            raise ConfigError("training settings: label_smoothing means nothing for count_mse; leave it out")
        refused = [n for n in ("compile", "rate_penalty", "synop_penalty") if getattr(self, n)]
        if self.rule != "bptt" and refused:
            raise ConfigError(
                f"training settings: rule is '{self.rule}', which takes the loss step by step and cannot be had with "
                f"{', '.join(refused)}; leave it out, or take rule = 'bptt'"
            )
        self._check_devices()

    def _check_devices(self) -> None:
        if self.strategy is None and self.devices > 1:
            raise ConfigError(
                f"training settings: devices is {self.devices}, but strategy does not say how they share the work; add "
                "strategy = 'ddp' (--strategy ddp)"
            )
        if self.strategy is None and self.sync_batchnorm:
            raise ConfigError(
                "training settings: sync_batchnorm means nothing for one device; leave it out, or set devices and "
                "strategy"
            )
        if self.strategy == "fsdp":
            if self.device == "cpu":
                raise ConfigError(
                    "training settings: strategy is 'fsdp' and device 'cpu', but fsdp shares out weights over GPUs; "
                    "take strategy = 'ddp' on the CPU"
                )
            if taken := [name for name in ("ema", "clip", "compile") if getattr(self, name)]:
                raise ConfigError(
                    f"training settings: {', '.join(taken)} cannot be had with strategy 'fsdp', where no process "
                    "holds all weights; leave it out, or take strategy = 'ddp'"
                )

    def to_json(self) -> str:
        """Give the settings as JSON text; :func:`read_config` reads it back."""
        return self.model_dump_json(indent=2)

    def changed(self) -> dict[str, Any]:
        """The settings that are not the defaults, but for those that every run names.

        Example:
            >>> TrainConfig(data="recordings", epochs=3, ema=0.99).changed()
            {'ema': 0.99}
        """
        shown = {"data", "out", "model", "timesteps", "frames", "epochs", "batch_size", "seed"}
        fields = type(self).model_fields
        return {n: getattr(self, n) for n, f in fields.items() if n not in shown and getattr(self, n) != f.default}

    def but(self, **changes: Any) -> Self:
        """Give a validated copy with some settings changed.

        Example:
            >>> TrainConfig(data="recordings").but(epochs=3).epochs
            3
        """
        return type(self)(**{**self.model_dump(), **changes})


def read_config(path: str | Path, **changes: Any) -> TrainConfig:
    r"""Read settings from a TOML file, or from the ``config.json`` that a run wrote.

    Args:
        path: the file; one that ends in ``.json`` is read as JSON, any other as TOML.
        **changes: settings that replace those of the file.

    Raises:
        ConfigError: the file is missing, not TOML or JSON, or holds wrong settings.

    Example:
        >>> import tempfile
        >>> from spikesim.training import read_config
        >>> with tempfile.NamedTemporaryFile("w+", suffix=".toml") as file:
        ...     _ = file.write('data = "recordings"\nepochs = 5')
        ...     file.flush()
        ...     read_config(file.name, seed=3).epochs
        5
    """
    import json
    import tomllib

    kind = "JSON" if Path(path).suffix == ".json" else "TOML"
    try:
        text = Path(path).read_text()
        values = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; give the folder of a run, or a file of settings") from None
    except (OSError, ValueError) as error:  # both parsers' errors are ValueErrors
        raise ConfigError(f"{path} cannot be read as {kind}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}, expected settings; start the run anew")
    return TrainConfig(**{**values, **changes})


def _readable(error: ValidationError) -> SpikesimError:
    problems = []
    fields = TrainConfig.model_fields
    for detail in error.errors():
        name = ".".join(str(part) for part in detail["loc"])
        if detail["type"] == "extra_forbidden":
            problems.append(f"{name}: unknown; known are {', '.join(fields)}")
        elif detail["type"] == "missing":
            problems.append(f"{name}: missing; {fields[name].description}")
        else:
            message = detail["msg"][:1].lower() + detail["msg"][1:]
            problems.append(f"{name}: given {detail['input']!r}, {message}. {fields[name].description}")
    text = "training settings: " + "; ".join(problems)
    if all(detail["loc"] == ("timesteps",) for detail in error.errors()):
        return TimestepsError(text)
    return ConfigError(text)
