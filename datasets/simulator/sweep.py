"""The kernel that takes pixels through frames, and the arrays that it keeps between calls.

A span of a few hundred pixels walks through all frames of a chunk with its state in the cache. What every pixel needs
in every interval is a few vectorised loops over the span; only pixels in which something happens reach
:func:`~spikesim.datasets.simulator.pixel.interval_events`. Pixels know nothing of each other, so any number of threads
may share them out, and nothing depends on who took which.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from spikesim.datasets.simulator.photoreceptor import (
    copy,
    half_decays,
    look_up,
    low_pass,
    map_light,
    mapped,
)
from spikesim.datasets.simulator.pixel import COLUMN, ROW, candidate_wait, interval_events

LEVEL, SIGNAL, DEAD_UNTIL, DUE, MAPPED, LIGHT = range(6)
"""Rows of the state ``[6, pixels]``: remembered level, signal, end of the dead time, next candidate of noise, mapped
intensity before the filter, and linear light."""
STATES = 6

ON, OFF, DRIFT, HOT = range(4)
"""Rows of the camera ``[4, pixels]``: thresholds, leakage and a pixel's own rate of noise, both per microsecond."""
CAMERA = 4

SPAN = 256
"""Pixels that walk together: their state and what they share fit the first-level cache."""

LARGEST_CHUNK = 2**28
"""Events of some pixels in one call; beyond it the kernel gives up."""


@njit(cache=True, nogil=True, error_model="numpy")
def begin(
    lights: Any, phases: Any, time: Any, camera: Any, receptor: Any, key: Any, state: Any, candidates: Any
) -> None:
    """Set the state to that of the first frame ``[pixels]`` of linear light."""
    for i in range(lights.size):
        signal = mapped(lights[i], receptor)
        highest = receptor.shot + camera[HOT, i]
        state[LEVEL, i] = signal - phases[i] * camera[ON, i]
        state[SIGNAL, i] = signal
        state[MAPPED, i] = signal
        state[LIGHT, i] = lights[i]
        state[DEAD_UNTIL, i] = -1.0
        state[DUE, i] = np.inf
        if highest > 0.0:
            state[DUE, i] = time + candidate_wait(key, i, 0) / highest
        candidates[i] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _mark(
    signal: Any, level: Any, on: Any, off: Any, drift: Any, duration: Any, dead_until: Any, start: Any, due: Any,
    end: Any, marks: Any,
) -> None:  # fmt: skip
    """Mark the pixels in which something happens in an interval."""
    for i in range(signal.size):
        away = signal[i] + drift[i] * duration
        marks[i] = (away - level[i] >= on[i]) | (level[i] - away >= off[i]) | (dead_until[i] >= start) | (due[i] <= end)


@njit(cache=True, nogil=True, error_model="numpy")
def _marked(marks: Any, words: Any, places: Any) -> Any:
    """Where the marks are, and how many; ``words`` are the same bytes, eight at a time."""
    count = 0
    for word in range(words.size):
        if words[word]:
            for i in range(8 * word, 8 * word + 8):
                if marks[i]:
                    places[count] = i
                    count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _sink(level: Any, drift: Any, duration: Any) -> None:
    for i in range(level.size):
        level[i] -= drift[i] * duration


@njit(cache=True, nogil=True, error_model="numpy")
def _events(
    places: Any, done: Any, count: Any, first: Any, width: Any, start: Any, end: Any, base: Any, before: Any,
    after: Any, light_before: Any, light: Any, camera: Any, receptor: Any, key: Any, state: Any, candidates: Any,
    keys: Any, used: Any,
) -> Any:  # fmt: skip
    """Append the events of the marked pixels of a span; stops before the one for which ``keys`` is too small."""
    duration = end - start
    for k in range(done, count):
        i = places[k]
        pixel = first + i
        y = pixel // width
        where = (np.int64(y) << ROW) | (np.int64(pixel - y * width) << COLUMN)
        level, dead_until, due, candidate, now_used = interval_events(
            start, end, before[i], after[i] + camera[DRIFT, pixel] * duration, light_before[i], light[i],
            where, pixel, base, camera[ON, pixel], camera[OFF, pixel], camera[HOT, pixel], receptor, key,
            state[LEVEL, pixel], state[DEAD_UNTIL, pixel], state[DUE, pixel], candidates[pixel], keys, used,
        )  # fmt: skip
        if now_used < 0:
            return k, used
        used = now_used
        state[LEVEL, pixel], state[DEAD_UNTIL, pixel], state[DUE, pixel] = level, dead_until, due
        candidates[pixel] = candidate
    return count, used


@njit(cache=True, nogil=True, error_model="numpy")
def _grown(keys: Any, used: Any) -> Any:
    larger = np.empty(2 * keys.size, np.int64)
    larger[:used] = keys[:used]
    return larger


@njit(cache=True, nogil=True, error_model="numpy")
def _walk(
    frames: Any, times: Any, code_light: Any, code_mapped: Any, code_halves: Any, which: Any, first: Any, last: Any,
    width: Any, camera: Any, receptor: Any, key: Any, state: Any, candidates: Any, keys: Any, used: Any,
) -> Any:  # fmt: skip
    """Take one span of pixels through the frames."""
    pixels = last - first
    codes, filtered = code_light.size > 0, receptor.cutoff > 0.0
    # Only so, an index and then a slice, does Numba know that the numbers lie side by side.
    level, dead_until, due = state[LEVEL, first:last], state[DEAD_UNTIL, first:last], state[DUE, first:last]
    on, off, drift = camera[ON, first:last], camera[OFF, first:last], camera[DRIFT, first:last]
    leaking = (drift != 0.0).any()
    lit = filtered or not codes or receptor.shot > 0.0 or (camera[HOT, first:last] != 0.0).any()
    marks = np.zeros((pixels + 7) // 8 * 8, np.uint8)
    words = marks.view(np.uint64)
    places = np.empty(pixels, np.int64)
    # What was in the frame before, and what is now; they change places after each frame.
    before, signal = state[SIGNAL, first:last].copy(), np.empty(pixels)
    light_before, light = state[LIGHT, first:last].copy(), np.zeros(pixels)
    mapped_before, mapped_now = state[MAPPED, first:last].copy(), np.empty(pixels)
    half_before, half = np.empty(pixels), np.empty(pixels)
    halved = -1.0  # the interval that half_before is for
    for f in range(len(frames)):
        start, end = np.float64(times[f]), np.float64(times[f + 1])
        duration = end - start
        frame = frames[f, first:last]
        if codes:
            look_up(frame, code_mapped, mapped_now)
            if lit:
                look_up(frame, code_light, light)
        else:
            copy(frame, light)
            map_light(light, light_before, mapped_before, receptor, mapped_now)
        if filtered:
            if halved != duration:
                half_decays(light_before, duration, receptor, half_before)
                halved = duration
            if codes:
                look_up(frame, code_halves[which[f]], half)
            else:
                half_decays(light, duration, receptor, half)
            low_pass(
                mapped_before, mapped_now, light_before, light, half_before, half, before, duration, receptor, signal
            )
            half_before, half = half, half_before
        else:
            copy(mapped_now, signal)
        _mark(signal, level, on, off, drift, duration, dead_until, start, due, end, marks)
        found = _marked(marks, words, places)
        done = 0
        while done < found:
            done, used = _events(
                places, done, found, first, width, start, end, times[0], before, signal, light_before, light, camera,
                receptor, key, state, candidates, keys, used,
            )  # fmt: skip
            if done < found:
                if keys.size >= LARGEST_CHUNK:
                    return keys, -1
                keys = _grown(keys, used)
        if leaking:
            _sink(level, drift, duration)
        before, signal = signal, before
        light_before, light = light, light_before
        mapped_before, mapped_now = mapped_now, mapped_before
    if codes and not lit:
        look_up(frames[len(frames) - 1, first:last], code_light, light_before)  # the next frames may hold light
    state[SIGNAL, first:last] = before
    state[LIGHT, first:last] = light_before
    state[MAPPED, first:last] = mapped_before
    return keys, used


@njit(cache=True, nogil=True, error_model="numpy")
def sweep(
    frames: Any, times: Any, code_light: Any, code_mapped: Any, code_halves: Any, which: Any, first: Any, last: Any,
    width: Any, camera: Any, receptor: Any, key: Any, state: Any, candidates: Any,
) -> Any:  # fmt: skip
    """Take the pixels from ``first`` up to ``last`` through frames.

    Args:
        frames: codes (uint8) or linear light (float64), ``[F, pixels]``; the frame before them is in the state.
        times: of the frame before them and of each of them, ``[F + 1]``, in microseconds; keys count from the first.
        code_light: linear light of each code, or nothing where ``frames`` holds light.
        code_mapped: mapped intensity of each code.
        code_halves: half-interval decays of each code for each duration, ``[D, 256]``.
        which: the duration of each interval, as a row of ``code_halves``, ``[F]``.
        first: pixel to begin with.
        last: the first that is not taken.
        width: pixels in a row of the sensor.
        camera: what each pixel is, ``[4, pixels]``.
        receptor: what all pixels share.
        key: of the draws of noise.
        state: where each pixel stands, ``[6, pixels]``; changed.
        candidates: how many candidates of noise each pixel has had, ``[pixels]``; changed.

    Returns:
        The keys, unsorted; -1 alone if they are more than :data:`LARGEST_CHUNK`.
    """
    keys = np.empty(4096, np.int64)
    used = 0
    for begin_at in range(first, last, SPAN):
        keys, used = _walk(
            frames, times, code_light, code_mapped, code_halves, which, begin_at, min(begin_at + SPAN, last), width,
            camera, receptor, key, state, candidates, keys, used,
        )  # fmt: skip
        if used < 0:
            return np.full(1, -1, np.int64)
    return keys[:used]
