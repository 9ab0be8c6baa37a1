"""e-prop: eligibility traces at every synapse of a recurrent layer, and a learning signal for each of its neurons."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spikesim.errors import ConfigError, ShapeError
from spikesim.neurons import LIF
from spikesim.nn import Recurrent
from spikesim.nn.checks import check_mask


class _Eligible(NamedTuple):
    synapse: Tensor  # [N, I]: leaky sum of what came in
    filtered: Tensor  # [N, J, I]: eligibility as the readout still sees it


@torch.no_grad()
def eprop(
    inputs: nn.Linear,
    recurrent: Recurrent,
    outputs: nn.Linear,
    x: Tensor,
    target: Tensor,
    *,
    readout_tau: float = 1.0,
    feedback: Tensor | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Gradients of one batch by e-prop, added to the ``grad`` of the three layers.

    For neurons j with potential u, leak ``alpha = 1 - 1/tau`` and surrogate ``psi``, readouts k with leak ``kappa`` of
    ``1 - 1/readout_tau`` and the cross-entropy of every step:

    .. code-block:: text

        eps_i(t) = alpha eps_i(t-1) + g z_i(t)            what came in at synapse i: x(t), or the layer's own s(t-1)
        e_ji(t)  = psi(u_j(t) - threshold) eps_i(t)       eligibility; the reset is left out of it
        ebar(t)  = kappa ebar(t-1) + e(t)
        y(t)     = kappa y(t-1) + (1 - kappa) (W s(t) + b)
        L_j(t)   = (1 - kappa) sum_k B_jk (softmax(y(t))_k - target_k)
        dE/dW_ji = 1/T sum_t L_j(t) ebar_ji(t)

    (g is 1/tau, or 1 with ``scale_input=False``; kappa = 0 is a readout without memory). Source: Bellec et al., Nature
    Communications 11:3625 (2020), equation 1 and "Methods" for LIF neurons. Eligibilities are ``[N, J, I]``,
    whatever T is. A masked step changes nothing and has no loss: T is the number of real steps of each recording.
    Where several processes each learn a share of a batch, average the gradients over them before the optimiser's step:
    no backward runs that could do it.

    Args:
        inputs: from the input to the layer.
        recurrent: ``Recurrent.dense`` of LIF neurons in their usual order of leak and reset.
        outputs: from the layer to the classes.
        x: ``[T, N, inputs]``.
        target: class numbers ``[N]``.
        readout_tau: time constant of the readout in time steps.
        feedback: B, ``[features, classes]``, such as ``torch.randn(...)``; None takes the weight of ``outputs`` itself
            (symmetric e-prop).
        mask: bool ``[T, N]``, which steps are real; None for all.

    Returns:
        Loss (mean over the real steps of each sample, then over samples, nats) and scores ``[T, N, classes]``; those
        of a masked step are those of the step before.

    Raises:
        ConfigError: other neurons, or a time constant below 1.
        ShapeError: tensors that do not fit.

    Example:
        >>> layers = nn.Linear(4, 8), Recurrent.dense(8, LIF()), nn.Linear(8, 3)
        >>> loss, scores = eprop(*layers, torch.rand(10, 2, 4), torch.tensor([0, 2]))
        >>> scores.shape, layers[1].lateral.weight.grad.shape
        (torch.Size([10, 2, 3]), torch.Size([8, 8]))
    """
    neuron, lateral = _checked(recurrent)
    if not readout_tau >= 1:
        raise ConfigError(f"eprop: readout_tau is {readout_tau!r}, but it must be 1 time step or more")
    if x.dim() != 3 or not x.shape[0] or x.shape[2] != inputs.in_features or target.shape != x.shape[1:2]:
        raise ShapeError(
            f"eprop: x is {tuple(x.shape)} and target {tuple(target.shape)}, but they must be [T, N, "
            f"{inputs.in_features}] and [N] with at least one step"
        )
    back = outputs.weight.T if feedback is None else feedback
    if back.shape != outputs.weight.T.shape:
        raise ShapeError(f"eprop: feedback is {tuple(back.shape)}, but it must be {tuple(outputs.weight.T.shape)}")
    tau, threshold = neuron.acting("tau"), neuron.acting("threshold")
    gain, kappa = (1 / tau if neuron.scale_input else torch.ones_like(tau)), 1 - 1 / readout_tau
    check_mask(mask, x.shape[0], x.shape[1], x.device)
    real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask
    shares = real.to(x.dtype) / (real.sum(0).clamp(min=1) * max(1, x.shape[1]))
    wanted = torch.nn.functional.one_hot(target, outputs.out_features).to(x.dtype)
    spikes = x.new_zeros(x.shape[1], inputs.out_features)
    state: dict[str, Tensor] | None = None
    y, shown, ones = x.new_zeros(wanted.shape), spikes, x.new_zeros(x.shape[1], 1)
    eligible = {layer: _nothing(layer, x) for layer in (inputs, lateral)}
    loss = x.new_zeros(())
    scores: list[Tensor] = []
    surrogate: Any = neuron.surrogate
    start: Tensor = neuron.initial_v  # type: ignore[assignment]
    for row, now, share in zip(x.unbind(0), real, shares):
        came = {inputs: row, lateral: spikes}
        current = inputs(row) + lateral(spikes)
        before = state["v"] if state is not None else start.to(current).expand_as(current)
        psi = torch.as_tensor(surrogate.derivative((1 - 1 / tau) * before + gain * current - threshold))
        fired, state = neuron.run_rows(current, 1, state=state, mask=now.unsqueeze(0))
        spikes = _where(now, fired, spikes)
        shown = _where(now, kappa * shown + fired, shown)
        ones = _where(now, kappa * ones + 1, ones)  # the filtered 1 that the bias sees
        y = _where(now, kappa * y + (1 - kappa) * outputs(fired), y)
        wrong = (y.softmax(1) - wanted) * ((1 - kappa) * share.unsqueeze(1))
        signal = wrong @ back.T
        for layer, z in came.items():
            with_bias = z if layer.bias is None else torch.cat([z, torch.ones_like(z[:, :1])], 1)
            held = eligible[layer]
            synapse = _where(now, (1 - 1 / tau) * held.synapse + gain * with_bias, held.synapse)
            filtered = _where(now, kappa * held.filtered + psi.unsqueeze(2) * synapse.unsqueeze(1), held.filtered)
            eligible[layer] = _Eligible(synapse, filtered)
            _add(layer, torch.einsum("nj,nji->ji", signal, filtered))
        _add(outputs, torch.cat([wrong.T @ shown, wrong.T @ ones], 1))
        loss += (torch.nn.functional.cross_entropy(y, target, reduction="none") * share).sum()
        scores.append(y)
    return loss, torch.stack(scores)


def _checked(recurrent: Recurrent) -> tuple[LIF, nn.Linear]:
    neuron, lateral = recurrent.neuron, recurrent.lateral
    plain = type(neuron) is LIF and not (neuron.refractory or neuron.leak_after_reset or neuron.delayed_reset)
    if not plain or not isinstance(lateral, nn.Linear) or "width" in neuron.params:
        raise ConfigError(
            f"eprop takes Recurrent.dense of LIF neurons without rest, width, leak_after_reset or delayed_reset, not "
            f"{type(neuron).__name__} with {type(lateral).__name__}"
        )
    assert isinstance(neuron, LIF)  # noqa: S101 - for the type checker
    if any(neuron.acting(name).numel() != 1 for name in ("tau", "threshold")):
        raise ConfigError("eprop takes LIF neurons with one tau and one threshold for the whole layer")
    return neuron, lateral


def _where(real: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """New values for samples whose step is real, the old ones for the others."""
    return torch.where(real.reshape(-1, *[1] * (new.dim() - 1)), new, old)


def _nothing(layer: nn.Linear, x: Tensor) -> _Eligible:
    size = layer.in_features + (layer.bias is not None)
    return _Eligible(x.new_zeros(x.shape[1], size), x.new_zeros(x.shape[1], layer.out_features, size))


def _add(layer: nn.Linear, change: Tensor) -> None:
    """Add to the gradients; the last column is that of the bias, if there is one."""
    parts = [(layer.weight, change[:, : layer.in_features])]
    if layer.bias is not None:
        parts.append((layer.bias, change[:, layer.in_features]))
    for parameter, part in parts:
        if parameter.requires_grad:
            parameter.grad = part.clone() if parameter.grad is None else parameter.grad + part
