"""Layers over time as plain loops over steps, samples and features, in float64."""

import math


def tebn(x, p, weight, bias, eps=1e-5):
    """``x [T][N][C]``; statistics over time and samples."""
    steps, samples, channels = len(x), len(x[0]), len(x[0][0])
    out = [[[0.0] * channels for _ in range(samples)] for _ in range(steps)]
    for c in range(channels):
        values = [x[t][n][c] for t in range(steps) for n in range(samples)]
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        for t in range(steps):
            for n in range(samples):
                out[t][n][c] = p[t] * (weight[c] * (x[t][n][c] - mean) / math.sqrt(variance + eps) + bias[c])
    return out


def bntt(x, weight, eps=1e-4):
    """``x [T][N][C]``, ``weight [T][C]``; statistics over samples."""
    out = []
    for t, step in enumerate(x):
        rows = [[0.0] * len(step[0]) for _ in step]
        for c in range(len(step[0])):
            mean = sum(row[c] for row in step) / len(step)
            variance = sum((row[c] - mean) ** 2 for row in step) / len(step)
            for n, row in enumerate(step):
                rows[n][c] = weight[t][c] * (row[c] - mean) / math.sqrt(variance + eps)
        out.append(rows)
    return out


def delayed(x, weight, delay, largest, sigma=None):
    """``x [T][I]`` of one sample to ``[T][O]``."""
    out = []
    for t in range(len(x)):
        row = []
        for o in range(len(weight)):
            total = 0.0
            for i in range(len(weight[o])):
                d = min(max(delay[o][i], 0.0), largest)
                if sigma is None:
                    spread = [max(0.0, 1 - abs(k - d)) for k in range(largest + 1)]
                else:
                    spread = [math.exp(-((k - d) ** 2) / (2 * sigma**2)) for k in range(largest + 1)]
                    spread = [s / sum(spread) for s in spread]
                for k in range(min(t, largest) + 1):
                    total += weight[o][i] * spread[k] * x[t - k][i]
            row.append(total)
        out.append(row)
    return out


def sliding(x, weight, bias):
    """Potentials of a sliding PSN, ``x [T]``."""
    order = len(weight)
    return [bias + sum(weight[order - 1 - j] * x[t - j] for j in range(order) if t - j >= 0) for t in range(len(x))]


def masked(x, weight, bias, order):
    """Potentials of a masked PSN, ``x [T]``."""
    return [bias[t] + sum(weight[t][t - j] * x[t - j] for j in range(order) if t - j >= 0) for t in range(len(x))]


def parallel(x, weight, bias):
    """Potentials of a PSN, ``x [T]``."""
    return [bias[t] + sum(weight[t][u] * x[u] for u in range(len(x))) for t in range(len(x))]


def recurrent_lif(x, lateral, tau, threshold):
    """Spikes ``[T][F]`` of LIF neurons with soft reset whose spikes come back through ``lateral [F][F]``."""
    features = len(lateral)
    v, s, out = [0.0] * features, [0.0] * features, []
    for row in x:
        current = [row[f] + sum(lateral[f][g] * s[g] for g in range(features)) for f in range(features)]
        u = [v[f] + (current[f] - v[f]) / tau for f in range(features)]
        s = [1.0 if u[f] >= threshold else 0.0 for f in range(features)]
        v = [u[f] - threshold * s[f] for f in range(features)]
        out.append(s)
    return out


def busiest(x, size):
    """Spikes ``[T][H'][W']`` of the neuron of each window that has fired most; ``x [T][H][W]``."""
    height, width = len(x[0]), len(x[0][0])
    count = [[0.0] * width for _ in range(height)]
    out = []
    for frame in x:
        for i in range(height):
            for j in range(width):
                count[i][j] += frame[i][j]
        rows = []
        for top in range(0, height - size + 1, size):
            row = []
            for left in range(0, width - size + 1, size):
                best = max(
                    ((i, j) for i in range(top, top + size) for j in range(left, left + size)),
                    key=lambda place: count[place[0]][place[1]],
                )
                row.append(frame[best[0]][best[1]])
            rows.append(row)
        out.append(rows)
    return out


def attention(q, k, v, scale):
    """One head: spikes ``[tokens][D]`` each."""
    tokens, features = len(q), len(q[0])
    out = [[0.0] * features for _ in range(tokens)]
    for a in range(tokens):
        for b in range(tokens):
            common = sum(q[a][d] * k[b][d] for d in range(features))
            for d in range(features):
                out[a][d] += scale * common * v[b][d]
    return out
