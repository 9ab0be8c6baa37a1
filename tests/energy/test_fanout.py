"""Fan-out equals the number of impulse responses, over a grid of operators."""

from itertools import product

import pytest
import torch
from torch import nn

from spikesim.energy import fan_out
from spikesim.energy.fanout import adaptive_window_sizes, spatial_fan_out, window_sizes
from spikesim.errors import LedgerError

GRID = [
    (k, s, p, d, g)
    for k, s, p, d, g in product((1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2), (1, 2, 4))
    if p < k and d * (k - 1) < 7 + 2 * p
]


def impulse_responses(operator, shape):
    """Outputs that each input position moves, one input at a time."""
    size = int(torch.tensor(shape).prod())
    with torch.no_grad():
        for name, p in operator.named_parameters():
            p.fill_(0.0 if name.endswith("bias") else 1.0)
        out = operator(torch.eye(size).reshape(size, *shape))
    return (out != 0).flatten(1).sum(1).reshape(shape)


@pytest.mark.parametrize("k,s,p,d,g", GRID)
def test_conv2d(k, s, p, d, g):
    conv = nn.Conv2d(4, 8, k, stride=s, padding=p, dilation=d, groups=g)
    fan = fan_out(conv, (4, 9, 7))
    assert fan.dtype == torch.int64
    assert torch.equal(fan, impulse_responses(conv, (4, 9, 7)))
    compact = spatial_fan_out((9, 7), (k, k), (s, s), (p, p), (d, d), False, (0, 0)) * (8 // g)
    assert torch.equal(fan, compact.expand(4, 9, 7))


@pytest.mark.parametrize(
    "operator,shape",
    [
        (nn.Conv1d(3, 4, 3, stride=2, padding=1), (3, 9)),
        (nn.Conv1d(4, 4, 4, padding="same", groups=2), (4, 9)),
        (nn.Conv2d(2, 3, 2, padding="same"), (2, 5, 4)),
        (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 5, 4)),
        (nn.Conv3d(2, 2, (2, 3, 1), stride=(1, 2, 1), padding=(0, 1, 0)), (2, 4, 5, 3)),
        (nn.ConvTranspose1d(2, 4, 3, stride=2, padding=1, output_padding=1), (2, 5)),
        (nn.ConvTranspose2d(4, 4, (3, 2), stride=2, padding=1, groups=2, dilation=(1, 2)), (4, 4, 5)),
        (nn.ConvTranspose3d(2, 1, 2, stride=2), (2, 3, 2, 3)),
        (nn.Linear(5, 7), (5,)),
    ],
)
def test_other_operators(operator, shape):
    assert torch.equal(fan_out(operator, shape), impulse_responses(operator, shape))


def test_reflected_padding_counts_every_copy():
    conv = nn.Conv1d(1, 1, 3, padding=1, padding_mode="reflect", bias=False)
    # Outputs 0 and 3 read position 1 and 2 twice: once in place and once reflected.
    assert fan_out(conv, (1, 4)).tolist() == [[2, 4, 4, 2]]


def test_the_grid_is_broad():
    assert len(GRID) >= 150


def test_wrong_shapes_and_fractional_operators_are_named():
    with pytest.raises(LedgerError, match=r"Conv2d does not accept one sample of shape \(3, 4, 4\)"):
        fan_out(nn.Conv2d(2, 2, 3), (3, 4, 4))
    with pytest.raises(LedgerError, match="fractional"):
        fan_out(nn.AvgPool2d(2), (1, 4, 4))


def test_windows_exclude_padding():
    # Windows of 3 with stride 2 and padding 1 on 5 positions: [-1..1], [1..3], [3..5].
    assert window_sizes([5], [3], [2], [1], [1], [3]).tolist() == [2, 3, 2]
    assert adaptive_window_sizes([7], [3]).tolist() == [3, 3, 3]
    assert adaptive_window_sizes([6, 4], [2, 2]).tolist() == [[6, 6], [6, 6]]
