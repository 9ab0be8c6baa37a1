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
        each: whether what is computed once for a constant input is charged at every step all the same.
    """

    timesteps: int
    samples: int
    mask: torch.Tensor | None = None
    each: bool = False

    @property
    def rows(self) -> int:
        """Rows of a folded activation, T*N."""
        return self.timesteps * self.samples

    def active(self, once: bool) -> torch.Tensor:
        """1 where a step of a sample counts, int64 ``[T, N]``; what runs once counts at step 0."""
        if self.mask is None:
            counted = torch.ones((self.timesteps, self.samples), dtype=torch.int64)
        else:
            counted = self.mask.to("cpu", torch.int64)
        return self._spread(counted.amax(0)) if once and not self.each else counted

    def constant(self, total: int, once: bool, layer: str) -> torch.Tensor:
        """Spread a data-independent ``total`` (over all rows of one call) evenly, int64 ``[T, N]``.

        Returns:
            ``[T, N]``; ``[1]`` where there is one step and its samples cannot be told apart.

        Raises:
            LedgerError: the total is not the same for every row.
        """
        rows = self.samples if once else self.rows
        if total % rows and self.timesteps == 1 and self.mask is None:
            return torch.tensor([total])  # over samples, as in the mean of a batch: of no sample in particular
        if total % rows:
            raise LedgerError(
                f"layer {layer!r}: {total} operations do not divide over {rows} rows "
                f"(T = {self.timesteps}, N = {self.samples}); the layer does not keep time folded into the batch"
            )
        return self.active(once) * (total // rows)

    def per_step(self, counts: torch.Tensor, axis: int | None, once: bool, layer: str) -> torch.Tensor:
        """Sum counts over positions, int64 ``[T, N]``.

        Args:
            counts: bool or integer counts in the layout of an activation.
            axis: the axis that holds the rows; ``[T*N, ...]`` folded or ``[T, N, ...]``; None if unknown.
            once: whether the rows are the N samples alone (a hoisted constant input).
            layer: name for error messages.

        Returns:
            ``[T, N]``; ``[1]`` where there is one step and its samples cannot be told apart.

        Raises:
            LedgerError: the rows cannot be told apart.
        """
        steps, samples, shape = self.timesteps, self.samples, counts.shape
        alone = steps == 1 and self.mask is None
        if axis is not None:
            if shape[axis] % (samples if once else self.rows) == 0:
                return self.table(_sum_but(counts, axis), once)
            if not once and shape[axis] == steps and shape[axis + 1 : axis + 2] == (samples,):
                return self.table(_sum_but(counts.flatten(axis, axis + 1), axis), once)
        if alone:
            return exact_sum(counts, list(range(counts.dim()))).reshape(1)
        if axis is None:
            raise LedgerError(
                f"layer {layer!r}: the axis of time steps and samples was mixed with another one, so its "
                "operations cannot be attributed to steps; keep the folded [T*N, ...] axis apart"
            )
        raise LedgerError(
            f"layer {layer!r}: {shape[axis]} rows cannot be attributed to T = {steps} steps of "
            f"N = {samples} samples; every activation must keep T*N rows"
        )

    def table(self, rows: torch.Tensor, once: bool) -> torch.Tensor:
        """Counts of whole rows, a multiple of T*N (or N) of them, as int64 ``[T, N]``; masked steps are left out."""
        if not once:
            counted = rows.view(self.timesteps, self.samples, -1).sum(-1)
            return counted if self.mask is None else counted * self.mask.to(counted.device)
        counted = rows.view(self.samples, -1).sum(-1)
        return counted * self.active(True).to(counted.device)

    def held(self, table: torch.Tensor) -> torch.Tensor:
        """Counts that are the same at every real step, at the first step alone."""
        return self._spread(table.amax(0)) if table.dim() == 2 else table

    def _spread(self, counted: torch.Tensor) -> torch.Tensor:
        first = counted.new_zeros(self.timesteps, self.samples)
        first[0] = counted
        return first


def exact_sum(counts: torch.Tensor, dims: list[int], keepdim: bool = False) -> torch.Tensor:
    """Sum whole numbers of any dtype to int64; float64 holds them exactly up to 2**53, and is quick."""
    if not dims:
        return counts.to(torch.int64)
    dtype = torch.float64 if counts.is_floating_point() else torch.int64
    return counts.sum(dims, keepdim=keepdim, dtype=dtype).to(torch.int64)


def _sum_but(counts: torch.Tensor, axis: int) -> torch.Tensor:
    """Sum over every axis but one, in int64."""
    return exact_sum(counts, [d for d in range(counts.dim()) if d != axis])
