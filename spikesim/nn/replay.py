"""States at every step of a call that kept only the last ones.

A fused kernel walks through all steps and gives its output and its final state. A second, gradient-free
run over the same rows from the same initial state, cut into pieces, passes through the same states bit
for bit, because chunked equals whole; it costs one inference of the layer and no memory to speak of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from spikesim.dynamics import Neuron

States = Mapping[str, Tensor]
Advance = Callable[[slice, States | None], tuple[Tensor, dict[str, Tensor]]]

_STEPS_AT_ONCE = 16  # bounds what a piece of the second run allocates


@dataclass(frozen=True)
class Passage:
    """One call of one neuron layer, ready to be run again in pieces.

    Args:
        timesteps: T.
        samples: N.
        advance: runs the steps of a slice from the given states (None: from where the call began), and gives what is
            emitted in them, ``[t*N, ...]``, and the states after them.
        mask: bool ``[T, N]``, or None.
    """

    timesteps: int
    samples: int
    advance: Advance
    mask: Tensor | None = None


def again(
    neuron: Neuron,
    x: Tensor,
    timesteps: int,
    *,
    state: States | None = None,
    mask: Tensor | None = None,
    constant: bool = False,
    generator: Tensor | None = None,
) -> Passage:
    """The call of a neuron that received the rows ``x``.

    Args:
        neuron: the layer.
        x: rows ``[T*N, ...]``, or ``[N, ...]`` if ``constant``.
        timesteps: T.
        state: initial state, or None for the neuron's own.
        mask: bool ``[T, N]``, or None.
        constant: the same rows are the input of every step.
        generator: state of torch's random generator when the layer was reached; None if it drew nothing from it.

    >>> from spikesim.neurons import LI
    >>> passage = again(LI(tau=2.0), torch.ones(3, 1), timesteps=3)
    >>> [states["v"].item() for _, states in walk(passage, [0, 2])]
    [0.5, 0.875]
    """
    samples = x.shape[0] if constant else x.shape[0] // timesteps

    def advance(steps: slice, states: States | None) -> tuple[Tensor, dict[str, Tensor]]:
        with _seeded(generator if states is None and state is None else None):
            return neuron.run_rows(
                x if constant else x[steps.start * samples : steps.stop * samples],
                steps.stop - steps.start,
                state=state if states is None else states,
                mask=None if mask is None else mask[steps],
                constant=constant,
            )

    return Passage(timesteps, samples, advance, mask)


def walk(passage: Passage, steps: Sequence[int]) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """What is emitted in each of ``steps``, ``[N, ...]``, and all states after it.

    Args:
        passage: the call.
        steps: increasing step numbers, each less than T.
    """
    states: dict[str, Tensor] | None = None
    position = 0
    for step in steps:
        while position <= step:
            piece = slice(position, min(step + 1, position + _STEPS_AT_ONCE))
            emitted, states = passage.advance(piece, states)
            position = piece.stop
        yield emitted[emitted.shape[0] - passage.samples :], states or {}


@contextmanager
def _seeded(generator: Tensor | None) -> Iterator[None]:
    # A stochastic neuron that starts afresh draws its seed from torch's generator: it must draw the same one again,
    # and nobody else may notice.
    if generator is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator)
        yield
