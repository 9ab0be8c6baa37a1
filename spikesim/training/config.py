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
    model: str = Field("conv_snn", description="conv_snn, or package.module:factory of a spikesim Network.")
    width: int = Field(32, ge=1, description="Channels of conv_snn's first layer.")
    tau: float = Field(2.0, ge=1.0, description="conv_snn's membrane time constant, in time steps.")
    timesteps: int = Field(10, ge=1, description="Frames per recording, T.")
    frames: Literal["time", "count"] = Field(
        "time",
        description="Frames of equal duration (time) or of equal event count (count).",
    )
    epochs: int = Field(25, ge=1, description="Passes over the training set.")
    batch_size: int = Field(32, ge=1, description="Recordings per optimiser step.")
    lr: float = Field(4e-3, gt=0, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(1e-2, ge=0, description="AdamW's decay of weight matrices and kernels.")
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of all steps in which the learning rate rises.")
    shift: int = Field(2, ge=0, description="Training frames are moved by up to this many pixels.")
    val_fraction: float = Field(
        0.15, gt=0, lt=1, description="Share of the training recordings held out to select the weights."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Seed of split, weights, order and shifts.")
    workers: int = Field(0, ge=0, description="Processes that prepare batches; 0 is this one.")
    threads: int | None = Field(None, ge=1, description="CPU threads.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU where there is one.")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _readable(error) from None

    def to_json(self) -> str:
        """Give the settings as JSON text; :func:`read_config` reads it back."""
        return self.model_dump_json(indent=2)

    def but(self, **changes: Any) -> Self:
        """Give a validated copy with some settings changed.

        Example:
            >>> TrainConfig(data="recordings").but(epochs=3).epochs
            3
        """
        return type(self)(**{**self.model_dump(), **changes})


def read_config(path: str | Path) -> TrainConfig:
    """Read the settings that a run wrote into its ``config.json``.

    Raises:
        ConfigError: the file is missing, not JSON, or holds wrong settings.
    """
    import json

    try:
        values = json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; give the folder of a run of `spikesim train`") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as JSON: {error}; start the run anew") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}, expected settings; start the run anew")
    return TrainConfig(**values)


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
