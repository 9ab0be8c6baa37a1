"""Which row of an activation belongs to which time step, and which rows count."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from spikesim.errors import LedgerError


@dataclass(frozen=True)
class Layout:
    """T time steps of N samples, and the mask of the steps that are real.

    Args:
        timesteps: T.
        samples: N.
        mask: bool ``[T, N]``, True where a step is real; None when all are.
    """

    timesteps: int
    samples: int
    mask: torch.Tensor | None = None

    @property
    def rows(self) -> int:
        """Rows of a folded activation, T*N."""
        return self.timesteps * self.samples

    def active(self, once: bool) -> torch.Tensor:
        """Samples that count at each step, int64 ``[T]``; what runs once counts at step 0."""
        if once:
            counted = torch.zeros(self.timesteps, dtype=torch.int64)
            counted[0] = self.samples if self.mask is None else int(self.mask.any(0).sum())
            return counted
        if self.mask is None:
            return torch.full((self.timesteps,), self.samples, dtype=torch.int64)
        return self.mask.sum(1).cpu()

    def constant(self, total: int, once: bool, layer: str) -> torch.Tensor:
        """Spread a data-independent ``total`` (over all rows of one call) evenly, int64 ``[T]``.

        Raises:
            LedgerError: the total is not the same for every row.
        """
        rows = self.samples if once else self.rows
        if total % rows:
            raise LedgerError(
                f"layer {layer!r}: {total} operations do not divide over {rows} rows "
                f"(T = {self.timesteps}, N = {self.samples}); the layer does not keep time folded into the batch"
            )
        return self.active(once) * (total // rows)

    def per_step(self, counts: torch.Tensor, axis: int | None, once: bool, layer: str) -> torch.Tensor:
        """Sum counts over samples and positions, int64 ``[T]``.

        Args:
            counts: bool or integer counts in the layout of an activation.
            axis: the axis that holds the rows; ``[T*N, ...]`` folded or ``[T, N, ...]``; None if unknown.
            once: whether the rows are the N samples alone (a hoisted constant input).
            layer: name for error messages.

        Raises:
            LedgerError: the rows cannot be told apart.
        """
        steps, samples = self.timesteps, self.samples
        if steps == 1 and self.mask is None:
            return exact_sum(counts, list(range(counts.dim()))).reshape(1)
        if axis is None:
            raise LedgerError(
                f"layer {layer!r}: the axis of time steps and samples was mixed with another one, so its "
                "operations cannot be attributed to steps; keep the folded [T*N, ...] axis apart"
            )
        shape = counts.shape
        if once and shape[axis] % samples == 0:
            table = _sum_but(counts, axis).view(1, samples, -1).sum(-1)
        elif not once and shape[axis] % self.rows == 0:
            table = _sum_but(counts, axis).view(steps, samples, -1).sum(-1)
        elif not once and shape[axis] == steps and shape[axis + 1 : axis + 2] == (samples,):
            flat = counts.flatten(axis, axis + 1)
            table = _sum_but(flat, axis).view(steps, samples)
        else:
            raise LedgerError(
                f"layer {layer!r}: {shape[axis]} rows cannot be attributed to T = {steps} steps of "
                f"N = {samples} samples; every activation must keep T*N rows"
            )
        if self.mask is not None:
            mask = self.mask.any(0, keepdim=True) if once else self.mask
            table = table * mask.to(table.device)
        total = table.sum(1)
        if not once:
            return total
        spread = total.new_zeros(steps)
        spread[0] = total[0]
        return spread


def exact_sum(counts: torch.Tensor, dims: list[int], keepdim: bool = False) -> torch.Tensor:
    """Sum whole numbers of any dtype to int64; float64 holds them exactly up to 2**53, and is quick."""
    if not dims:
        return counts.to(torch.int64)
    dtype = torch.float64 if counts.is_floating_point() else torch.int64
    return counts.sum(dims, keepdim=keepdim, dtype=dtype).to(torch.int64)


def _sum_but(counts: torch.Tensor, axis: int) -> torch.Tensor:
    """Sum over every axis but one, in int64."""
    return exact_sum(counts, [d for d in range(counts.dim()) if d != axis])
