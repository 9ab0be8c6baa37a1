"""Networks inside data workers, forked and spawned, after and before parallel kernels ran here."""

import pytest
import torch
from oracles.worker_dataset import Encoded
from torch.utils.data import DataLoader

from spikesim.dynamics.launch import PARALLEL_FROM


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_computes_what_the_main_process_does(method):
    data = Encoded()
    assert PARALLEL_FROM < 40 * 32 * 64
    expected = [data[k] for k in range(len(data))]  # the parallel kernels have run before the workers start
    workers = 2 if method == "fork" else 1
    loader = DataLoader(data, batch_size=None, num_workers=workers, multiprocessing_context=method, timeout=120)
    found = list(loader)
    for (out, gradient, here), (worker_out, worker_gradient, there) in zip(expected, found, strict=True):
        assert here != there
        # Matrix products may round otherwise on one thread.
        assert torch.allclose(worker_out, out, atol=1e-5)
        assert torch.allclose(worker_gradient, gradient, rtol=1e-3, atol=1e-6)
    data[0]  # and the main process goes on
