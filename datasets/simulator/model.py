"""The parameters of the event pixel, and published sets of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikesim.errors import ConfigError

_LARGEST_HZ = 1e5


@dataclass(frozen=True)
class PixelModel:
    """The parameters of the event pixel; by default an ideal one with a dead time.

    Args:
        threshold: mean contrast threshold of ON events, in natural-log intensity; at least 1e-6.
        threshold_std: standard deviation of the threshold over the pixels; 0 makes them equal. No threshold is below a
            tenth of the mean.
        refractory_us: dead time after an event, in whole microseconds. The pixel sees nothing of what
            happens in it, and starts again from the intensity at its end.
        noise: noise events for each signal event, uniform over pixels, time and polarity: a simple stand-in for shot
            noise, for whole movies only.
        log_offset: added to the intensity before the logarithm; greater than 0, or 0 with ``linear_below``.
        threshold_off: mean threshold of OFF events, each pixel's drawn apart from its other one; by default every
            pixel has one threshold for both.
        threshold_off_std: its standard deviation; ``threshold_std`` by default.
        linear_below: intensity below which the mapping is a straight line, the tangent of the logarithm there; 0 for
            none.
        cutoff_hz: cut-off frequency of the photoreceptor at white (1.0); 0 for no low-pass. It falls in a straight
            line to ``cutoff_dark`` times that in darkness.
        cutoff_dark: share of the cut-off that is left in darkness; more than 0, at most 1.
        leak_hz: leakage events per second of each pixel: the level that it remembers sinks by ``leak_hz`` times its ON
            threshold in a second. Pixels start at a random point of that cycle.
        shot_noise_hz: shot noise of a pixel in darkness, in events per second of both polarities together. It falls in
            a straight line to ``shot_noise_bright`` times that at white.
        shot_noise_bright: share of the shot noise that is left at white, 0 to 1.
        hot_fraction: share of pixels that are hot, drawn once, 0 to 1.
        hot_hz: noise of a hot pixel in events per second, besides its shot noise and whatever the light.

    Raises:
        ConfigError: a parameter is out of range.

    Example:
        >>> from spikesim.datasets import PixelModel
        >>> PixelModel(threshold=0.2).refractory_us
        1000
        >>> PixelModel.preset("noisy").shot_noise_hz
        5.0
    """

    threshold: float = 0.3
    threshold_std: float = 0.01
    refractory_us: int = 1000
    noise: float = 0.0
    log_offset: float = 0.1
    threshold_off: float | None = None
    threshold_off_std: float | None = None
    linear_below: float = 0.0
    cutoff_hz: float = 0.0
    cutoff_dark: float = 20 / 275
    leak_hz: float = 0.0
    shot_noise_hz: float = 0.0
    shot_noise_bright: float = 0.25
    hot_fraction: float = 0.0
    hot_hz: float = 0.0

    def __post_init__(self) -> None:
        rate = f"between 0 and {_LARGEST_HZ:g} Hz"
        share = "between 0 and 1"
        self._check("threshold", _number(self.threshold) and self.threshold >= 1e-6, "at least 1e-6")
        self._check("threshold_std", _number(self.threshold_std) and self.threshold_std >= 0, "0 or more")
        whole = isinstance(self.refractory_us, (int, np.integer)) and not isinstance(self.refractory_us, bool)
        self._check("refractory_us", whole and 0 <= self.refractory_us < 2**52, "whole microseconds, 0 or more")
        self._check("noise", _within(self.noise, 0, 10), "between 0 and 10 noise events for each signal event")
        self._check("linear_below", _number(self.linear_below) and self.linear_below >= 0, "0 or more")
        lowest = _number(self.log_offset) and (self.log_offset > 0 or (self.log_offset == 0 < self.linear_below))
        self._check("log_offset", lowest, "greater than 0, or 0 together with linear_below greater than 0")
        off, off_std = self.threshold_off, self.threshold_off_std
        self._check("threshold_off", off is None or (_number(off) and off >= 1e-6), "None or at least 1e-6")
        self._check("threshold_off_std", off_std is None or (_number(off_std) and off_std >= 0), "None or 0 or more")
        if off is None and off_std is not None:
            raise ConfigError(
                f"PixelModel threshold_off_std is {off_std!r} without threshold_off; expected threshold_off too"
            )
        self._check("cutoff_hz", _number(self.cutoff_hz) and self.cutoff_hz >= 0, "0 or more")
        self._check("cutoff_dark", _within(self.cutoff_dark, 1e-6, 1), "more than 0 and at most 1")
        self._check("leak_hz", _within(self.leak_hz, 0, _LARGEST_HZ), rate)
        self._check("shot_noise_hz", _within(self.shot_noise_hz, 0, _LARGEST_HZ), rate)
        self._check("shot_noise_bright", _within(self.shot_noise_bright, 0, 1), share)
        self._check("hot_fraction", _within(self.hot_fraction, 0, 1), share)
        self._check("hot_hz", _within(self.hot_hz, 0, _LARGEST_HZ), rate)

    def _check(self, name: str, good: bool, expected: str) -> None:
        if not good:
            raise ConfigError(f"PixelModel {name} is {getattr(self, name)!r}; expected {expected}")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> PixelModel:
        """Return a published set of parameters.

        - ``"ideal"``: equal thresholds of 0.2 on log(0.001 + I), and nothing else, as in ESIM (Rebecq et al. 2018,
          https://proceedings.mlr.press/v87/rebecq18a.html).
        - ``"clean"`` and ``"noisy"``: the sets of these names of v2e (Hu, Liu and Delbruck 2021,
          https://arxiv.org/abs/2006.07722; ``--dvs_params`` of its version 1.5): thresholds of 0.2 with a standard
          deviation of 0.02 and 0.05, linear below 20/255; ``"noisy"`` with a cut-off of 30 Hz, leakage of 0.1 Hz and
          shot noise of 5 Hz. v2e applies them to the codes of a video; here they apply to linear light, whose contrast
          is about twice as large.

        Args:
            name: of the set.
            **changes: parameters that shall differ.

        Raises:
            ConfigError: no such set or parameter, or a value is out of range.

        Example:
            >>> from spikesim.datasets import PixelModel
            >>> PixelModel.preset("clean", threshold=0.3).threshold_std
            0.02
        """
        if name not in PRESETS:
            raise ConfigError(f"preset is {name!r}; expected one of {', '.join(PRESETS)}")
        try:
            return replace(PRESETS[name], **changes)
        except TypeError as error:
            raise ConfigError(f"preset {name!r} was given {', '.join(changes)}: {error}") from error


def model_or_default(model: PixelModel | None) -> PixelModel:
    """The model that is given, or the default one; anything else, such as the name of a preset, is refused.

    >>> model_or_default(None).threshold
    0.3
    """
    if model is not None and not isinstance(model, PixelModel):
        raise ConfigError(f'model is {model!r}; expected a PixelModel, such as PixelModel.preset("clean")')
    return model or PixelModel()


def _number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and bool(np.isfinite(value))


def _within(value: Any, low: float, high: float) -> bool:
    return _number(value) and low <= value <= high


_CLEAN = PixelModel(
    threshold=0.2, threshold_std=0.02, threshold_off=0.2, refractory_us=0, log_offset=0.0, linear_below=20 / 255
)
PRESETS: dict[str, PixelModel] = {
    "ideal": PixelModel(threshold=0.2, threshold_std=0.0, refractory_us=0, log_offset=0.001),
    "clean": _CLEAN,
    "noisy": replace(_CLEAN, threshold_std=0.05, cutoff_hz=30.0, leak_hz=0.1, shot_noise_hz=5.0),
}
"""What :meth:`PixelModel.preset` knows."""
