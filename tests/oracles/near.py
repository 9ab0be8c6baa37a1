"""Comparing joules: pytest's own tolerance of 1e-12 is a picojoule."""

from functools import partial

import pytest

near = partial(pytest.approx, rel=1e-9, abs=0.0)
