"""What all conversions of one network share: its canonical form, and what was seen of its activations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from spikesim.converters.audit import Audit, audited
from spikesim.converters.data import Batches, Digest, inputs_of
from spikesim.converters.entrance import unwrapped
from spikesim.converters.folding import folding_error
from spikesim.converters.inputs import Inputs, as_given, count, first, tensors_of
from spikesim.converters.observe import Observation, check_weights, observe
from spikesim.converters.signature import arity
from spikesim.errors import CalibrationError, ConversionError

_LIVE_VALUES = 2**25
_CHECKED = 32  # samples on which the folded form is compared with the model, and the converted network with that
_CHECKED_STEPS, _CHECKED_VALUES = 128, 2**22  # of a layer, of all samples together


@dataclass(frozen=True)
class Prepared:
    """A network that is ready to be converted, by any method and for any T.

    Args:
        name: Class name of the model.
        ann: Canonical graph.
        example: One sample ``[1, ...]``.
        like: Gives dtype and device of inputs: those of the weights, or int64 for numbers of tokens.
        seen: Histograms and kept samples.
        audit: Verdict on each operation.
        folding_error: Largest difference between the model and its canonical form, relative.
        digest: SHA-256 of the calibration data.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.prepare import prepare
        >>> prepare(nn.Sequential(nn.ReLU()), torch.rand(8, 3)).seen.samples
        8
    """

    name: str
    ann: fx.GraphModule
    example: Inputs
    like: Tensor
    seen: Observation
    audit: Audit
    folding_error: float
    digest: str = ""

    def samples(self, timesteps: int) -> Inputs:
        """As many of the kept samples as can be run over T steps at once."""
        kept = self.seen.kept
        return first(kept, _how_many(self.ann, timesteps, count(kept)))

    def few(self, timesteps: int) -> Inputs:
        """Those of them on which a converted network is checked, fewer where they take more steps or room."""
        most = min(_CHECKED, max(8, _CHECKED_STEPS // timesteps))
        return first(self.seen.kept, max(4, _how_many(self.ann, timesteps, most, _CHECKED_VALUES)))


def prepare(model: nn.Module, calibration: Batches, samples: int = 256, allow_analog: Collection[str] = ()) -> Prepared:
    """Trace, canonicalise, check and observe a model, once.

    Args:
        model: See :func:`~spikesim.converters.convert`.
        calibration: Typical inputs; read once.
        samples: Largest number of samples that are kept.
        allow_analog: Operations that stay what they are, see :func:`spikesim.converters.audit`.

    Raises:
        ConversionError: Operations cannot be converted; all are named.
        CalibrationError: The weights or the calibration data give no usable thresholds.

    Example:
        See :class:`Prepared`.
    """
    model = unwrapped(model)
    check_weights(model)
    takes = arity(model)
    example, data, like = _first(calibration, model, takes)
    found, canonical = audited(model, example, allow_analog)
    if canonical is None or not found.convertible:
        raise ConversionError(found.refusal())
    ann = canonical.graph
    folding_error(model, ann, example)  # before the data are read
    digest = Digest()
    seen = observe(ann, digest.of(data), _how_many(ann, 1, samples), like, takes)
    error = folding_error(model, ann, first(seen.kept, _CHECKED))
    return Prepared(type(model).__name__, ann, example, like, seen, found, error, str(digest))


def _like(model: nn.Module) -> Tensor:
    """An empty tensor of the model's dtype and device; float32 on the CPU where it has no weights."""
    weights = (p for p in itertools.chain(model.parameters(), model.buffers()) if p.is_floating_point())
    weight = next(weights, torch.zeros(0))
    if weight.dtype not in (torch.float32, torch.float64):
        raise ConversionError(f"weights are {weight.dtype}; potentials need float32: call model.float() first")
    return weight.detach().new_empty(0)


def _first(calibration: Batches, model: nn.Module, takes: int) -> tuple[Inputs, Iterator[Inputs], Tensor]:
    """The first sample, an iterator that still gives everything, and what inputs are like."""
    like, batches = _like(model), inputs_of(calibration, takes)
    looks_up = any(isinstance(module, nn.Embedding) for module in model.modules())
    for batch in batches:
        if count(batch):
            if looks_up and any(t.dtype in (torch.int32, torch.int64) for t in tensors_of(batch)):
                like = like.long()
            return as_given(first(batch, 1), like), itertools.chain([batch], batches), like
    raise CalibrationError("the calibration data hold no sample: give some tens of typical inputs, no labels")


def _how_many(ann: fx.GraphModule, timesteps: int, most: int, values: int = _LIVE_VALUES) -> int:
    """Samples to run over T steps at once, so that the largest layer stays within so many values."""
    largest = max(math.prod(node.meta["shape"]) for node in ann.graph.nodes if node.meta["shape"])
    return max(1, min(most, values // (timesteps * largest)))
