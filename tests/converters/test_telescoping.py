"""Functions of running means: against scalar loops, and their defining property."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles.telescoping import telescoped
from torch import Tensor, nn

from spikesim.converters.analog import Attention, MatMul, Product
from spikesim.converters.telescoping import Held, Increment, RunningMean


def softmax(x: list[float]) -> list[float]:
    weights = [math.exp(v - max(x)) for v in x]
    return [w / sum(weights) for w in weights]


def layer_norm(x: list[float]) -> list[float]:
    mean = sum(x) / len(x)
    spread = math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + 1e-5)
    return [(v - mean) / spread for v in x]


def matmul(a: list[float], b: list[float]) -> list[float]:
    return [a[2 * i] * b[j] + a[2 * i + 1] * b[2 + j] for i in range(2) for j in range(2)]


def attention(q: list[float], k: list[float], v: list[float]) -> list[float]:
    scores = matmul(q, [k[0], k[2], k[1], k[3]])
    weights = [w for i in range(2) for w in softmax([s / math.sqrt(2) for s in scores[2 * i : 2 * i + 2]])]
    return matmul(weights, v)


def rms_norm(x: list[float]) -> list[float]:
    size = math.sqrt(sum(v * v for v in x) / len(x) + 1e-6)
    return [v / size for v in x]


FUNCTIONS = {
    "softmax": (softmax, nn.Softmax(1), 1),
    "layer norm": (layer_norm, nn.LayerNorm(4), 1),
    "rms norm": (rms_norm, nn.RMSNorm(4, eps=1e-6), 1),
    "gelu": (lambda x: [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x], nn.GELU(), 1),
    "silu": (lambda x: [v / (1 + math.exp(-v)) for v in x], nn.SiLU(), 1),
    "product": (lambda a, b: [v * w for v, w in zip(a, b)], Product(), 2),
    "matmul": (matmul, MatMul(), 2),
    "attention": (attention, Attention(), 3),
}
MATRICES = ("matmul", "attention")


def run(module: nn.Module, operands: list[Tensor], steps: float, square: bool) -> Tensor:
    """``[T, 4]`` each to ``[T, 4]``."""
    means = [RunningMean(steps).double()(x[:, None])[:, 0] for x in operands]
    shaped = [x.reshape(-1, 2, 2) for x in means] if square else means
    return Increment(steps).double()(module.double()(*shaped).reshape(-1, 1, 4))[:, 0]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("steps", [3, 7])
def test_each_step_is_that_of_the_scalar_loop(name: str, steps: int) -> None:
    function, module, count = FUNCTIONS[name]
    operands = [torch.randn(7, 4, dtype=torch.float64) for _ in range(count)]
    expected = telescoped(function, [x.tolist() for x in operands], steps)
    with torch.no_grad():
        found = run(module, operands, steps, name in MATRICES)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data())
def test_the_mean_is_the_function_of_the_mean(name: str, data: st.DataObject) -> None:
    """After every step up to T, and of the sum over T after steps beyond it, which correct what came before."""
    _, module, count = FUNCTIONS[name]
    total, steps = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    numbers = st.lists(st.floats(-4, 4, width=32), min_size=4 * total, max_size=4 * total)
    operands = [torch.tensor(data.draw(numbers), dtype=torch.float64).reshape(total, 4) for _ in range(count)]
    with torch.no_grad():
        sums = run(module, operands, steps, name in MATRICES).cumsum(0)
        for t in range(total):
            counted = min(t + 1, steps)
            means = [x[: t + 1].sum(0, keepdim=True) / counted for x in operands]
            shaped = [x.reshape(1, 2, 2) for x in means] if name in MATRICES else means
            wanted = module.double()(*shaped).reshape(4)
            torch.testing.assert_close(sums[t] / counted, wanted, rtol=1e-7, atol=1e-7)


def test_a_constant_input_gives_a_constant_output() -> None:
    x = torch.randn(1, 4, dtype=torch.float64).expand(6, 4)
    with torch.no_grad():
        found = run(nn.LayerNorm(4), [x], 6, False)
    torch.testing.assert_close(found, found[:1].expand(6, 4))
    each_alone = nn.Softmax(1)(torch.tensor([[4.0, 0.0], [0.0, 0.0]])).mean(0)
    assert not torch.allclose(each_alone, nn.Softmax(1)(torch.tensor([[2.0, 0.0]]))[0], atol=1e-2)


@given(st.integers(1, 8), st.integers(1, 8))
def test_chunks_are_the_whole(first: int, second: int) -> None:
    from spikesim.nn import Network

    network = Network(nn.Sequential(RunningMean(5), nn.GELU(), Increment(5), Held(4)))
    x = torch.randn(first + second, 1, 3)
    session = network.stream()
    torch.testing.assert_close(torch.cat([session(x[:first]), session(x[first:])]), network(x), rtol=0, atol=1e-5)


@pytest.mark.usefixtures("reference_path")
def test_the_equations_alone_say_the_same() -> None:
    x = torch.tensor([[2.0], [4.0], [0.0]])
    assert RunningMean(2)(x).flatten().tolist() == [2.0, 3.0, 3.0]
    assert Increment(2)(x).flatten().tolist() == [2.0, 6.0, -8.0]
    assert Held(1)(x).flatten().tolist() == [2.0, 0.0, 0.0]
