"""A slow and obvious event camera: each pixel on its own, in continuous time, from one event to the next.

It knows frames only as the corners of piecewise linear functions of time, keeps nothing from frame to frame, and
shares nothing with the kernels but the draws.
"""

import math

import numpy as np

from spikesim.datasets.counter import bits_at, key_of, normal_at, uniform_at


def mapped(light, model):
    """Natural logarithm, or below ``linear_below`` the tangent of the logarithm there."""
    x, knee = light + model.log_offset, model.linear_below
    return math.log(x) if x > knee else math.log(knee) + (x - knee) / knee


def filtered(inputs, lights, times, model):
    """First-order low-pass of a piecewise linear input; its time constant changes from interval to interval."""
    outputs = [inputs[0]]
    for f in range(1, len(inputs)):
        if model.cutoff_hz == 0:
            outputs.append(inputs[f])
            continue
        light = (lights[f - 1] + lights[f]) / 2
        cutoff = model.cutoff_hz * (model.cutoff_dark + (1 - model.cutoff_dark) * light)
        tau = 1e6 / (2 * math.pi * cutoff)
        duration = times[f] - times[f - 1]
        slope = (inputs[f] - inputs[f - 1]) / duration
        # After long the output follows slope * tau behind the input; what differs from that decays.
        differs = outputs[-1] - (inputs[f - 1] - slope * tau)
        outputs.append(inputs[f] - slope * tau + differs * math.exp(-duration / tau))
    return outputs


def noise_of_pixel(lights, times, pixel, hot_hz, model, seed):
    """Times and polarities of the shot noise: candidates at the highest rate, thinned."""
    highest = model.shot_noise_hz + hot_hz
    found, number, now = [], 0, float(times[0])
    key = key_of(seed, 6)
    while highest > 0:
        counter = (pixel << 32) + 2 * number
        now += -math.log(1 - (int(bits_at(key, np.uint64(counter))) >> 11) / 2**53) / (highest * 1e-6)
        if now > times[-1]:
            break
        bits = int(bits_at(key, np.uint64(counter + 1)))
        light = min(float(np.interp(now, times, lights)), 1.0)
        rate = model.shot_noise_hz * (1 - (1 - model.shot_noise_bright) * light) + hot_hz
        if (bits >> 11) / 2**53 * highest < rate:
            found.append((now, bits & 1))
        number += 1
    return found


def pixel_events(signal, times, on, off, refractory, drift=0.0, level=None, noise=()):
    """Events (time in us, polarity, whether noise) of one pixel, by looking ahead from each event.

    The remembered level sinks by ``drift`` per microsecond; ``noise`` are times and polarities.
    """

    def signal_at(t):
        return float(np.interp(t, times, signal))

    def next_crossing(now, level, since):
        for f in range(1, len(times)):
            if times[f] <= now:
                continue
            start = max(now, float(times[f - 1]))
            # How far the signal is from the level at both ends of what is left of this interval.
            begin = signal_at(start) - (level - drift * (start - since))
            end = float(signal[f]) - (level - drift * (times[f] - since))
            for polarity, reached in ((1, end >= on), (0, end <= -off)):
                if reached:
                    target = on if polarity else -off
                    share = (target - begin) / (end - begin) if end != begin else 0.0
                    return start + min(max(share, 0.0), 1.0) * (times[f] - start), polarity
        return None

    events, now, since = [], float(times[0]), float(times[0])
    level = float(signal[0]) if level is None else level
    waiting = list(noise)
    while True:
        crossing = next_crossing(now, level, since)
        while waiting and waiting[0][0] < now:
            waiting.pop(0)
        if waiting and (crossing is None or waiting[0][0] < crossing[0]):
            at, polarity = waiting.pop(0)
            events.append((math.floor(at), polarity, True))
            level = signal_at(at)
        elif crossing is not None:
            at, polarity = crossing
            events.append((math.floor(at), polarity, False))
            level = level - drift * (at - since) + (on if polarity else -off)
        else:
            return events
        now, since = at + refractory, at
        if now >= times[-1]:
            return events
        if refractory:
            level, since = signal_at(now), now


def camera_events(lights, times, model, seed):
    """Events (t, y, x, p, noise) of a movie of linear light ``[F, H, W]``, in order."""
    height, width = lights.shape[1:]
    found = []
    for y in range(height):
        for x in range(width):
            pixel = y * width + x

            def threshold(stream, mean, std, pixel=pixel):
                return max(mean + std * normal_at(key_of(seed, stream), np.uint64(pixel)), 0.1 * mean)

            on = off = threshold(1, model.threshold, model.threshold_std)
            if model.threshold_off is not None:
                std = model.threshold_std if model.threshold_off_std is None else model.threshold_off_std
                off = threshold(3, model.threshold_off, std)
            phase = uniform_at(key_of(seed, 4), np.uint64(pixel)) if model.leak_hz else 0.0
            hot = uniform_at(key_of(seed, 5), np.uint64(pixel)) < model.hot_fraction
            trace = [float(light) for light in lights[:, y, x]]
            signal = filtered([mapped(light, model) for light in trace], trace, times, model)
            noise = noise_of_pixel(trace, times, pixel, model.hot_hz if hot else 0.0, model, seed)
            drift = model.leak_hz * 1e-6 * on
            level = signal[0] - phase * on
            events = pixel_events(signal, times, on, off, model.refractory_us, drift, level, noise)
            found += [(t, y, x, p, flag) for t, p, flag in events]
    return sorted(found)
