"""Operations on whole records give what NumPy gives field by field, whatever their layout in memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.streams import DTYPES, stream

from spikesim.datasets.records import copied, first_fall, in_order, joined, kept_of, places, untitled
from spikesim.errors import EventError

TITLED = np.dtype([(("stamp", "t"), "u8"), ("x", "u2"), ("y", "u2"), (("p", "on"), "?")])


def layouts(data):
    wide = np.zeros(2 * len(data), data.dtype)
    wide[::2] = data
    frozen = data.copy()
    frozen.flags.writeable = False
    return {"plain": data, "strided": wide[::2], "backward": data[::-1].copy()[::-1], "read-only": frozen}


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("n", [0, 1, 57])
def test_copies_selections_and_joins(dtype, n):
    data = stream(n, dtype)
    keep = np.arange(n) % 3 == 0
    for given_ in layouts(data).values():
        made = copied(given_)
        assert np.array_equal(made, data) and made.flags.writeable and not np.shares_memory(made, given_)
        assert np.array_equal(kept_of(given_, keep), data[keep])
        assert np.array_equal(joined(given_, given_[:1]), np.concatenate([data, data[:1]]))
        assert in_order(given_) is given_ and first_fall(given_["t"]) == 0


@given(st.lists(st.integers(0, 30), max_size=40), st.sampled_from(["i8", "u8", "i4"]))
def test_order_of_time_is_a_stable_sort(times, kind):
    data = np.zeros(len(times), [("x", "i2"), ("t", kind), ("y", "i1")])
    data["t"], data["x"] = times, np.arange(len(times))
    expected = sorted(zip(times, range(len(times))))
    assert [(int(t), int(x)) for t, x in zip(in_order(data)["t"], in_order(data)["x"])] == expected
    falls = [i for i in range(1, len(times)) if times[i] < times[i - 1]]
    assert first_fall(data["t"]) == (falls[0] if falls else 0)
    if falls:
        with pytest.raises(EventError, match=f"Crop: event {falls[0]} is earlier"):
            in_order(data, "Crop")


@given(
    st.lists(st.integers(0, 50), max_size=30).map(sorted),
    st.lists(st.integers(-5, 60) | st.floats(-5, 60), max_size=6),
)
def test_places_are_those_of_numpy(times, edges):
    data = np.zeros(len(times), [("x", "i2"), ("t", "i8"), ("y", "i1")])
    data["t"] = times
    edges = np.array(edges, float if any(isinstance(e, float) for e in edges) else int)
    assert places(data["t"], edges).tolist() == np.searchsorted(np.array(times), edges).tolist()


def test_titles_go_and_the_layout_stays():
    assert untitled(TITLED) == np.dtype([("t", "u8"), ("x", "u2"), ("y", "u2"), ("on", "?")])
    assert untitled(DTYPES["gesture"]) is DTYPES["gesture"]
    padded = np.dtype({"names": ["t"], "formats": ["u8"], "offsets": [8], "titles": ["time"], "itemsize": 24})
    assert untitled(padded).itemsize == 24 and untitled(padded).fields["t"][1] == 8
