"""What can be said about one operation of a network, and the hints given with a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How an operation of the ANN reaches the spiking network.

    ``exact``: the same linear map, or nothing at all. ``folded``: absorbed into neighbouring weights, no
    error. ``approximated``: by the method named beside it. ``analog``: stays what it is, between neurons, and is priced
    as such. ``unsupported``: conversion is refused.

    Example:
        >>> from spikesim.converters import Verdict
        >>> Verdict("exact") is Verdict.EXACT
        True
    """

    EXACT = "exact"
    FOLDED = "folded"
    APPROXIMATED = "approximated"
    ANALOG = "analog"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class Finding:
    """A verdict with its method, its reason, or the way to rewrite the operation.

    Example:
        >>> from spikesim.converters.verdicts import Finding, Verdict
        >>> Finding(Verdict.EXACT, "linear map").verdict.value
        'exact'
    """

    verdict: Verdict
    detail: str


_RELU = "an IF neuron can only stand for ReLU: replace it with nn.ReLU (or ReLU6) and fine-tune for a few epochs"
_TRANSFORMER = "write it as its parts: nn.LayerNorm, nn.MultiheadAttention or @, nn.Linear, GELU or ReLU convert"
_NORM = "it normalises by its input's own statistics: train with BatchNorm, which folds into weights, or LayerNorm"
_RECURRENT = "recurrent layers keep analog state: convert the feed-forward part, or train a spiking network"
_SOFTMAX = "leave a final one out (the largest output is the same), or use softmax"

_BY_REMEDY = {
    _RELU: "leakyrelu elu celu selu prelu rrelu hardswish hardsigmoid mish softplus softsign sigmoid tanh "
    "logsigmoid glu tanhshrink hardshrink softshrink threshold hardtanh clamp clampmin abs exp sqrt pow square",
    _SOFTMAX: "logsoftmax softmax2d softmin",
    _NORM: "groupnorm instancenorm instancenorm1d instancenorm2d instancenorm3d localresponsenorm normalize",
    _TRANSFORMER: "einsum baddbmm multiheadattentionforward",
    _RECURRENT: "lstm gru rnn lstmcell grucell rnncell",
    "indices of a max-pool cannot follow spikes: unpool with nn.ConvTranspose": "maxpool1dwithindices "
    "maxpool2dwithindices maxpool3dwithindices",
    "pad with zeros, or use the padding argument of the next convolution": "reflectionpad1d reflectionpad2d "
    "reflectionpad3d replicationpad1d replicationpad2d replicationpad3d circularpad1d circularpad2d circularpad3d",
    "a value leaves the graph: keep the forward in tensors": "item tolist numpy nonzero",
}
HINTS = {name: remedy for remedy, names in _BY_REMEDY.items() for name in names.split()}


def hint(name: str) -> str:
    """The way to rewrite an operation that cannot be converted.

    Args:
        name: Class, function or method name as written by the user, in any case, with or without ``_``.

    Returns:
        One sentence; a general one where nothing specific is known.

    Example:
        >>> from spikesim.converters.verdicts import hint
        >>> hint("ELU") == hint("elu_") and "nn.ReLU" in hint("ELU")
        True
    """
    key = name.lower().replace("_", "")
    general = "no rule for this operation: express it with Conv, Linear, BatchNorm, ReLU, pooling, add or concat"
    return HINTS.get(key, general)
