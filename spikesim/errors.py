"""Every exception that spikesim raises on purpose.

Each derives from :class:`SpikesimError` and from the built-in exception that fits, so that both
``except SpikesimError`` and ``except ValueError`` work. A message says what was given, what was
expected and what to do. The command line prints the message alone and exits with ``exit_code``.
"""

from __future__ import annotations


class SpikesimError(Exception):
    """Base of every error that is the user's to mend.

    >>> issubclass(ShapeError, SpikesimError) and issubclass(ShapeError, ValueError)
    True
    """

    exit_code = 1


class ConfigError(SpikesimError, ValueError):
    """An option, parameter or setting has a value outside its range."""


class ShapeError(SpikesimError, ValueError):
    """A tensor does not have the expected shape or dtype."""


class TimestepsError(ShapeError):
    """Time is missing, zero, or does not divide the folded batch."""


class DeviceError(SpikesimError, RuntimeError):
    """Tensors that belong together lie on different devices."""


class StateError(SpikesimError, ValueError):
    """A carried state does not fit the network or the batch it is given to."""


class ReuseError(SpikesimError, RuntimeError):
    """A module with state was reached twice in one call."""


class TraceError(SpikesimError, TypeError):
    """A neuron's ``step`` uses something that cannot be expressed as an equation."""


class GradientError(SpikesimError, RuntimeError):
    """A gradient was asked for that is not defined (double backward)."""


class ConversionError(SpikesimError, ValueError):
    """A network cannot be converted; the message names the nodes and how to rewrite them."""


class CalibrationError(SpikesimError, ValueError):
    """Calibration data or weights cannot give usable thresholds."""


class EventError(SpikesimError, ValueError):
    """An event stream breaks its contract: order, range, dtype or polarity."""


class EventFileError(EventError, OSError):
    """An event file is truncated, damaged or of another format."""


class MovieError(SpikesimError, OSError):
    """A movie or picture is missing, cannot be decoded, or does not move."""


class DatasetError(SpikesimError, LookupError):
    """A dataset folder is missing, empty or not laid out as expected."""


class CacheError(SpikesimError, OSError):
    """A cache cannot be written or read: the disk is full, or the folder is no folder."""


class LedgerError(SpikesimError, ValueError):
    """Operations cannot be counted or priced as asked."""


class PricingError(LedgerError):
    """A profile may not be applied to what was counted: the figure would not mean what it says."""


class CheckpointError(SpikesimError, RuntimeError):
    """A checkpoint or weights file is damaged or does not fit the model."""


class CheckFailed(SpikesimError, RuntimeError):  # noqa: N818 - it reports a verdict, not a mistake
    """A check that the user asked for (doctor, audit, verify) did not pass."""

    exit_code = 3


class DivergenceError(SpikesimError, ArithmeticError):
    """Training went to NaN or infinity."""
