"""Slow and obvious versions of the event code: scalar loops, one thing at a time."""

import numpy as np


def decode_bin(content):
    """Events (x, y, t, p) of a 40-bit file, one record after the other."""
    events, added = [], 0
    for at in range(0, len(content), 5):
        x, y, high, middle, low = content[at : at + 5]
        if y == 240:
            added += 8192
            continue
        events.append((x, y, (high % 128) * 65536 + middle * 256 + low + added, high // 128))
    return events


def frames(events, sensor_size, timesteps, by):
    """Frames of (x, y, t, p) tuples as nested counting, without saturation."""
    width, height, polarities = sensor_size
    counts = np.zeros((timesteps, polarities, height, width), np.int64)
    if not events:
        return counts
    times = [t for _, _, t, _ in events]
    for i, (x, y, t, p) in enumerate(events):
        if by == "time":
            step = max((max(times) - min(times)) // timesteps, 1)
            position = t - min(times)
        else:
            step = len(events) // timesteps  # 0 for fewer events than frames: then all lie in the last
            position = i
        frame = 0
        while frame + 1 < timesteps and position >= (frame + 1) * step:
            frame += 1
        counts[frame, p if polarities == 2 else 0, y, x] += 1
    return counts


def saccade_movie(picture, zoom, shifts, size):
    """Frames ``[F, size, size]`` of a picture enlarged bilinearly, centred on the middle of its path."""
    height, width = picture.shape
    middle = (np.min(shifts, 0) + np.max(shifts, 0)) / 2
    movie = np.zeros((len(shifts), size, size))
    for f, (dx, dy) in enumerate(shifts):
        left = size / 2 + dx - middle[0] - zoom * width / 2
        top = size / 2 + dy - middle[1] - zoom * height / 2
        for y in range(size):
            for x in range(size):
                u = (x + 0.5 - left) / zoom - 0.5
                v = (y + 0.5 - top) / zoom - 0.5
                for row in range(height):
                    for column in range(width):
                        weight = max(0.0, 1 - abs(u - column)) * max(0.0, 1 - abs(v - row))
                        movie[f, y, x] += weight * picture[row, column]
    return movie
