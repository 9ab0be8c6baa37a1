"""Libraries that only some formats need."""

from __future__ import annotations

import importlib
from types import ModuleType

from spikesim.errors import EventFileError


def library(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional library, or say which extra brings it.

    Args:
        module: what to import.
        extra: the extra of spikesim that installs it.
        purpose: what it is for, to begin the message with.

    Raises:
        EventFileError: it is not installed.

    Example:
        >>> from spikesim.datasets.formats.extras import library
        >>> library("nowhere_to_be_found", "aedat4", "reading AEDAT 4")
        Traceback (most recent call last):
        ...
        spikesim.errors.EventFileError: reading AEDAT 4 needs nowhere_to_be_found: pip install 'spikesim[aedat4]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EventFileError(f"{purpose} needs {module}: pip install 'spikesim[{extra}]'") from error
