"""Whole architectures on random weights: a clean audit, the identity on every layer, and exactness where promised."""

from __future__ import annotations

import pytest
import torch
from oracles.conversion_networks import randomised

from spikesim.converters import audit, convert
from spikesim.models import mobilenet_v2, resnet, unet, vgg

NETWORKS = {
    "vgg16": (lambda: vgg(16, width=0.0625, hidden=16), (3, 32, 32), 15),
    "resnet18": (lambda: resnet(18, width=4), (3, 16, 16), 17),
    "resnet34, large stem": (lambda: resnet(34, width=4, small=False), (3, 64, 64), 33),
    "mobilenet_v2": (lambda: mobilenet_v2(width=0.1), (3, 16, 16), 35),
    "unet": (lambda: unet(width=4, depth=2), (1, 16, 16), 10),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_it_converts_exactly(name: str) -> None:
    build, shape, layers = NETWORKS[name]
    torch.manual_seed(0)
    model = randomised(build())
    x = torch.rand(4, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():  # statistics of the data: else many layers of random weights forget their input
        for module in model.modules():
            module.momentum = 1.0  # type: ignore[assignment]
        model.train()(x)
        model.eval()
    found = audit(model, x[:1])
    assert found.convertible
    network, report = convert(model, x, timesteps=2, exact=True)
    assert report.certificate is not None and report.certificate.exact, report.certificate
    assert report.certificate.exact_float32, report.certificate
    assert report.spiking_layers == layers == len(report.layers)
    assert max(layer.identity_error for layer in report.layers) < 1e-4
    given = network(x)
    assert given.shape == model(x).shape and not torch.allclose(given[0], given[1])  # or exactness says nothing
    plain = convert(model, x, timesteps=2).report
    assert max(layer.identity_error for layer in plain.layers) < 1e-4
