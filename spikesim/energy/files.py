"""Reading data files of figures: those that ship with the package, and the user's own."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from spikesim.errors import ConfigError

PROFILES = "spikesim.energy.profiles"
REFERENCES = "spikesim.energy.references"
_LONG = 40  # characters of a value that a message quotes
_Read = TypeVar("_Read", bound=BaseModel)


def shipped(package: str) -> list[str]:
    """Names of the files of a data package, without their ending."""
    entries = resources.files(package).iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def read_model(source: str | Path, package: str, model: type[_Read]) -> _Read:
    """Read and check a TOML file.

    Args:
        source: the name of a shipped file, or a path that ends in ``.toml``.
        package: where shipped files lie.
        model: what the file must hold.

    Raises:
        ConfigError: it cannot be read, is not TOML, or fields break the schema (each is named).
    """
    if isinstance(source, str) and not source.endswith(".toml"):
        text, origin = resources.files(package).joinpath(f"{source}.toml").read_text("utf-8"), source
    else:
        origin = str(source)
        try:
            text = Path(source).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"profile {origin}: cannot be read ({error}); give a TOML file in UTF-8") from error
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"profile {origin}: not valid TOML ({error})") from error
    except ValidationError as error:
        raise ConfigError(f"profile {origin}: " + "; ".join(faults(error))) from error


def faults(error: ValidationError, values: bool = False) -> list[str]:
    """What is wrong with which field, in one clause each; with the values too."""
    return [
        f"{'.'.join(map(str, e['loc'])) or 'profile'}{_given(e['input']) if values else ''}: {e['msg']}"
        for e in error.errors(include_url=False)
    ]


def _given(value: object) -> str:
    text = repr(value)
    return f" = {text if len(text) <= _LONG else text[:_LONG] + '...'}"
