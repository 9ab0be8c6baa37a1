"""What each further time step costs."""

from __future__ import annotations

from spikesim.energy.charges import Side
from spikesim.energy.included import Included
from spikesim.energy.ledger import Ledger
from spikesim.energy.pricing import itemise
from spikesim.energy.profile import Profile


def price_steps(ledger: Ledger, profile: Profile, include: Included | None = None) -> list[float]:
    """What a network has spent when it is read after 1, 2, ... T steps.

    A static power is taken for its share of the time; what runs once for all steps is spent at the first.

    Args:
        ledger: counts of at least one sample.
        profile: energies of the operations.
        include: memory traffic and static power; by default none.

    Returns:
        Joules per inference.

    Example:
        >>> import torch
        >>> from spikesim.energy import Ledger, load_profile, price_steps
        >>> from spikesim.neurons import IF
        >>> from spikesim.nn import Network
        >>> ledger = Ledger.record(Network(IF()), torch.zeros(3, 1, 10), input="events")
        >>> [round(joules * 1e12) for joules in price_steps(ledger, load_profile("horowitz45-fp32"))]
        [18, 36, 54]
    """
    include, whole = include or Included(), ledger.timesteps
    found = []
    for step in range(1, whole + 1):
        seconds = include.latency and include.latency * step / whole
        counted = ledger if step == whole else ledger.until(step)
        found.append(itemise(counted, profile, Side(), include, seconds).total)
    return found
