from hypothesis import example, given
from hypothesis import strategies as st
from pytest import approx

from spikesim.training.schedule import warmup_cosine


@example(total=2, share=0.75)
@given(total=st.integers(2, 500), share=st.floats(0, 0.9))
def test_rises_to_one_then_falls_to_almost_zero(total, share):
    warmup = round(share * total)
    factors = [warmup_cosine(step, warmup, total) for step in range(total)]
    assert max(factors) == approx(1.0)
    assert all(0 < factor <= 1 for factor in factors)
    top = max(0, warmup - 1)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert warmup_cosine(total, warmup, total) == approx(0.0, abs=1e-12)
