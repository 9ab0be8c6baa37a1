"""Slow transforms of events, as plain loops over them."""

import numpy as np


def downsampled(data, size, target, step, threshold, bins=None):
    """Rows (x, y, t, p) of the integrator, or with ``bins`` of the differentiator; frame by frame."""
    fine = step / (bins or 1)
    start = int(data["t"][0])
    frames = int((int(data["t"][-1]) - start) // fine) + 1
    sums = np.zeros((target[1], target[0]), int)
    rows, fired = [], np.zeros((frames // (bins or 1) + 1, target[1], target[0], 2), int)
    for j in range(frames):
        for e in data:
            if (int(e["t"]) - start) // fine == j:
                sums[int(e["y"]) * target[1] // size[1], int(e["x"]) * target[0] // size[0]] += 1 if e["p"] else -1
        for p, full in ((1, sums >= threshold), (0, -sums >= threshold)):
            for y, x in np.argwhere(full):
                rows.append((x, y, start + int(j * fine), p))
                fired[j // (bins or 1), y, x, p] += 1
            sums[full] = 0
    if bins is None:
        return rows
    rise = np.diff(fired, axis=0)
    return [(x, y, start + int(j * step), p) for j, y, x, p in np.argwhere(rise > 0)]


def moved(data, size, matrix):
    """Rows (x, y, t, p) of events moved by a matrix about the middle of the sensor, those that stay on it."""
    (a, b), (c, d) = matrix
    mx, my = (size[0] - 1) / 2, (size[1] - 1) / 2
    rows = []
    for e in data:
        u, v = int(e["x"]) - mx, int(e["y"]) - my
        x, y = int(np.floor(a * u + b * v + mx + 0.5)), int(np.floor(c * u + d * v + my + 0.5))
        if 0 <= x < size[0] and 0 <= y < size[1]:
            rows.append((x, y, int(e["t"]), int(e["p"])))
    return rows


def mixture(x, y, t, rows):
    """Height of a mixture of Gaussians at a point; rows of weight, three means and three widths."""
    total = 0.0
    for weight, *rest in rows:
        far = sum(((at - mean) / width) ** 2 for at, mean, width in zip((x, y, t), rest[:3], rest[3:]))
        total += weight * np.exp(-far / 2)
    return total


def blurred(data, size, start, length, bins):
    """Counts ``[T, P, H, W]`` of equal times, each the mean of 3 x 3 pixels; nine terms, one at a time."""
    frames = np.zeros((bins, size[2], size[1], size[0]))
    for e in data:
        frames[(int(e["t"]) - start) * bins // length, int(e["p"]), int(e["y"]), int(e["x"])] += 1
    means = np.zeros_like(frames)
    for y in range(size[1]):
        for x in range(size[0]):
            for v in range(max(y - 1, 0), min(y + 2, size[1])):
                for u in range(max(x - 1, 0), min(x + 2, size[0])):
                    means[:, :, y, x] += frames[:, :, v, u] / 9
    return means
