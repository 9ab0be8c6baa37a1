"""A certificate: the spiking network beside the quantised ANN that it is meant to be."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from spikesim.converters.flow import RateFlow, even_rate
from spikesim.converters.inputs import Inputs, count, each, tensors_of
from spikesim.converters.settling import SettlingNetwork
from spikesim.converters.trace import place_of
from spikesim.nn import Network


class Certificate(BaseModel):
    """How far the outputs of a converted network are from those of its ANN with quantised ReLUs.

    Args:
        samples: Inputs compared.
        difference: Largest difference of an output in double precision, where a rounded sum does not decide a level.
        difference_float32: The same in single precision; one level more or less at a tie shows here.
        drained: Steps after the T-th until nothing moved; 0 for networks that do not drain.
        settled: Whether nothing moved in the end.

    Example:
        >>> from spikesim.converters.certificate import Certificate
        >>> Certificate(samples=4, difference=0.0, difference_float32=1e-7, drained=3, settled=True).exact
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int
    difference: float
    difference_float32: float
    drained: int
    settled: bool

    @property
    def exact(self) -> bool:
        """Whether every output is that of the quantised ANN in double precision, to 1e-5."""
        return self.settled and self.difference <= 1e-5

    @property
    def exact_float32(self) -> bool:
        """The same in single precision, where a current that rounds across a level sends one spike more or less."""
        return self.settled and self.difference_float32 <= 1e-5


@torch.no_grad()
def certify(network: Network, samples: Inputs, timesteps: int, most: float) -> Certificate:
    """Compare a converted network with its quantised ANN, output by output.

    Args:
        network: A converted network.
        samples: Inputs ``[N, ...]``.
        timesteps: T.
        most: Largest tally of a neuron.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import convert
        >>> x = torch.rand(16, 4, generator=torch.Generator().manual_seed(0))
        >>> ann = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> convert(ann, x, timesteps=4, exact=True).report.certificate.exact
        True
    """
    differences = {}
    drained, settled = 0, True
    own = next((t.dtype for t in tensors_of(samples) if t.is_floating_point()), torch.float32)
    for dtype in (torch.float64, own):
        copied = copy.deepcopy(network).to(dtype)
        x = each(partial(_in, dtype=dtype), samples)
        outputs = each(lambda y: y.sum(0) / timesteps, copied.unread(x))
        graph: Any = copied.module

        def rate(name: str, current: Tensor, graph: nn.Module = graph) -> Tensor:
            return even_rate(graph.get_submodule(place_of(name)), current, timesteps, most)

        flow = RateFlow(graph, rate)
        pairs = zip(tensors_of(outputs), tensors_of(flow.run(x)))
        differences[dtype] = max(float((y - wanted).abs().max()) if y.numel() else 0.0 for y, wanted in pairs)
        if isinstance(copied, SettlingNetwork):
            drained, settled = max(drained, copied.drained), settled and copied.settled
    return Certificate(
        samples=count(samples),
        difference=differences[torch.float64],
        difference_float32=differences[own],
        drained=drained,
        settled=settled,
    )


def _in(x: Tensor, dtype: torch.dtype) -> Tensor:
    """In another precision; numbers of tokens stay whole."""
    return x.to(dtype) if x.is_floating_point() else x
