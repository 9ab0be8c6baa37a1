"""Learning rules beyond backpropagation through time, on the same layers: online, e-prop, STDP.

Example:
    >>> from spikesim.training.rules import stdp
    >>> stdp.__name__
    'stdp'
"""

from spikesim.training.rules.eprop import eprop
from spikesim.training.rules.online import OnlineLoss, online_loss
from spikesim.training.rules.stdp import Traces, stdp

__all__ = ["OnlineLoss", "Traces", "eprop", "online_loss", "stdp"]
