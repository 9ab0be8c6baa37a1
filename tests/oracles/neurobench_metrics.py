"""What NeuroBench itself says of a network."""

import pytest
import torch

from spikesim.nn import Network


def measured(network, x, neuron_classes):
    """NeuroBench's own metrics on one batch."""
    pytest.importorskip("neurobench")
    from neurobench.metrics.static import ConnectionSparsity
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
    from neurobench.models import TorchModel

    model = TorchModel(network)
    for cls in neuron_classes:
        model.add_activation_module(cls)
    model.register_hooks()
    samples = x.shape[1] if isinstance(network, Network) else x.shape[0]
    with torch.no_grad():
        model(x)
    data = (torch.zeros(samples, 1), None)
    values = dict(SynapticOperations()(model, None, data))
    values["ActivationSparsity"] = ActivationSparsity()(model, None, data)
    values["ConnectionSparsity"] = ConnectionSparsity()(model)
    model.cleanup_hooks()
    return values
