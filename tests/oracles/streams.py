"""Random event streams in the dtypes that datasets come in."""

import numpy as np

GESTURE = np.dtype([("x", np.int16), ("y", np.int16), ("p", np.bool_), ("t", np.int64)])
NMNIST = np.dtype([("x", np.int64), ("y", np.int64), ("t", np.int64), ("p", np.int64)])
UNSIGNED = np.dtype([("t", np.uint64), ("x", np.uint16), ("y", np.uint16), ("p", np.uint8)])
DTYPES = {"gesture": GESTURE, "nmnist": NMNIST, "unsigned": UNSIGNED}


def stream(n, dtype=GESTURE, size=(24, 16), span=100_000, first=0, seed=0, polarity="p"):
    """``n`` events in order of time within ``span`` microseconds from ``first``, uniform over the pixels."""
    rng = np.random.default_rng(seed)
    data = np.zeros(n, dtype)
    data["x"], data["y"] = rng.integers(0, size[0], n), rng.integers(0, size[1], n)
    data["t"] = np.sort(rng.integers(first, first + span, n))
    data[polarity] = rng.integers(0, 2, n)
    return data
