"""Batches and augmentation of frames, value by value."""

import numpy as np


def batch(samples):
    """Frames ``[T, N, C, H, W]`` padded with zeros, lengths and mask, by loops."""
    longest = max(len(sample) for sample in samples)
    x = np.zeros((longest, len(samples), *samples[0].shape[1:]), samples[0].dtype)
    mask = np.zeros((longest, len(samples)), bool)
    for n, sample in enumerate(samples):
        for t, frame in enumerate(sample):
            x[t, n] = frame
            mask[t, n] = True
    return x, [len(sample) for sample in samples], mask


def shifted(sample, down, right):
    """One sample ``[T, C, H, W]``, each value moved on its own."""
    steps, channels, height, width = sample.shape
    moved = np.zeros_like(sample)
    for t in range(steps):
        for c in range(channels):
            for y in range(height):
                for x in range(width):
                    if 0 <= y + down < height and 0 <= x + right < width:
                        moved[t, c, y + down, x + right] = sample[t, c, y, x]
    return moved
