"""Spikes kept as bits come back as they were."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from spikesim.converters.lazy import Lazy
from spikesim.converters.packed import Coding, Packed, take
from spikesim.converters.policies import CONVERTED
from spikesim.dynamics import SpikeType
from spikesim.neurons import IF, BurstIF, SigmaDelta, SignedIF


@given(
    kind=st.sampled_from(["binary", "signed", "graded"]),
    bits=st.integers(1, 3),
    steps=st.integers(1, 19),
    scale=st.sampled_from([1.0, 0.25]),
    seed=st.integers(0, 99),
)
def test_spikes_come_back(kind: str, bits: int, steps: int, scale: float, seed: int) -> None:
    bits = 1 if kind == "binary" else bits
    neuron = nn.Identity()
    neuron.emits = SpikeType(kind, bits=bits, scale=scale)  # type: ignore[assignment,arg-type]
    coding = Coding.of(neuron)
    assert coding is not None
    high = 2**bits - 1
    low = -high if kind == "signed" else 0
    spikes = scale * torch.randint(low, high + 1, (steps, 5, 2, 3), generator=torch.Generator().manual_seed(seed))
    rows = Lazy(lambda x: x, spikes.flatten(0, 1), steps, 6)
    kept = Packed.collect(coding, rows, rows.of)
    assert kept.of(slice(None)).equal(spikes)
    assert kept.of(slice(1, 3)).equal(spikes[:, 1:3])
    assert kept.whole().equal(spikes.flatten(0, 1))
    assert kept.bits.numel() <= -(-steps * (1 if kind == "binary" else 2 * bits + 2) // 8) * 30
    torch.testing.assert_close(kept.mean(steps // 2), spikes[steps // 2 :].mean(0))


def test_channels_are_taken_from_other_spikes() -> None:
    one, none = torch.ones(2, 1, 3, 2), torch.zeros(2, 1, 3, 2)
    into, other = (Packed(Coding(0, 1), 2, 1, like=one) for _ in range(2))
    into.put(slice(None), one)
    other.put(slice(None), none)
    take(into, other, torch.tensor([False, True, False]))
    assert into.of(slice(None)).amax((0, 1, 3)).tolist() == [1.0, 0.0, 1.0]


def test_no_samples_are_no_bits() -> None:
    rows = Lazy(lambda x: x, torch.zeros(0, 3), 4, 3)
    kept = Packed.collect(Coding(0, 1), rows, lambda some: torch.zeros(4, 0, 3))
    assert kept.whole().shape == (0, 3)


def test_what_has_no_coding() -> None:
    assert Coding.of(nn.ReLU()) is None
    assert Coding.of(SigmaDelta(threshold=0.3)) is None  # a scale that would be rounded
    assert Coding.of(IF()) == (0, 1, 1.0)
    assert Coding.of(SignedIF()) == (-1, 2, 1.0)
    assert Coding.of(BurstIF(burst=5)) == (0, 4, 1.0)


@pytest.mark.parametrize("kind", CONVERTED)
def test_converted_neurons_send_what_their_coding_holds(kind: type[nn.Module]) -> None:
    try:
        neuron = kind()
    except TypeError:
        pytest.skip("needs arguments")
    coding = Coding.of(neuron)
    if coding is None:
        pytest.skip("not packed")
    sent = neuron(3 * torch.randn(12, 40, generator=torch.Generator().manual_seed(0))[:, :, None])
    kept = Packed(coding, 12, 40, sent)
    kept.put(slice(None), sent)
    assert sent.any() and kept.of(slice(None)).equal(sent)
