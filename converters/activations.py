"""What the activations of an ANN were, one after the other."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from spikesim.converters.inputs import Inputs, tensors_of
from spikesim.converters.outputs import outputs_of
from spikesim.converters.rectifier import Rectifier


class Activations(fx.Interpreter):
    """What the Rectifiers of an ANN give, and its outputs, by name; computed when they are asked for, and then let go.

    Args:
        ann: Canonical graph.
        samples: Inputs ``[N, ...]``.

    Attributes:
        dtype: Of the activations.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.canonical import canonicalise
        >>> from spikesim.converters.activations import Activations
        >>> x = torch.tensor([[-1.0, 2.0]])
        >>> found = Activations(canonicalise(nn.Sequential(nn.ReLU()), x).graph, x)
        >>> found["relu_0"].tolist(), found["output"].tolist()
        ([[0.0, 2.0]], [[0.0, 2.0]])
    """

    def __init__(self, ann: fx.GraphModule, samples: Inputs) -> None:
        super().__init__(ann)
        numbers = [*ann.parameters(), *tensors_of(samples)]
        self.dtype = next((x.dtype for x in numbers if x.is_floating_point()), torch.get_default_dtype())
        self.args_iter = iter(ann.graph.process_inputs(samples))
        self._nodes = iter(ann.graph.nodes)
        self._found: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        """One of them, once."""
        while name not in self._found:
            node = next(self._nodes)  # ends only where a name is wrong
            self._found.update(self._reached(node))
        return self._found.pop(name)

    def _reached(self, n: fx.Node) -> dict[str, Tensor]:
        if n.op == "output":
            return {name: self.env[source] for name, source in outputs_of(n.graph).items()}
        self.env[n] = result = self.run_node(n)
        for dead in self.user_to_last_uses.get(n, []):
            if not any(user.op == "output" for user in dead.users):
                del self.env[dead]
        rectifier = n.op == "call_module" and isinstance(self.module.get_submodule(str(n.target)), Rectifier)
        return {n.name: result} if rectifier else {}
