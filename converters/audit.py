"""The audit: every operation of a network with a verdict, before anything is changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict
from torch import nn

from spikesim.converters.canonical import Canonical, canonicalise
from spikesim.converters.entrance import unwrapped
from spikesim.converters.hidden import hidden_effects
from spikesim.converters.inputs import Inputs
from spikesim.converters.trace import TraceFailure
from spikesim.converters.verdicts import Verdict, hint
from spikesim.converters.vocabulary import MODULES
from spikesim.dynamics import TimeAware

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {"exact": "green", "folded": "green", "approximated": "yellow", "analog": "magenta", "unsupported": "red"}


class AuditRow(BaseModel):
    """One operation as written in the model.

    Args:
        name: Node name, unique in the model.
        op: Module with its settings, or function name (methods begin with a dot).
        shape: Output shape of one sample; None where there is no batch axis.
        verdict: exact, folded, approximated, analog or unsupported.
        detail: Method, reason, or how to rewrite the operation.

    Example:
        >>> from spikesim.converters import AuditRow, Verdict
        >>> AuditRow(name="fc", op="Linear", shape=(10,), verdict=Verdict.EXACT, detail="linear map").verdict.value
        'exact'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    op: str
    shape: tuple[int, ...] | None
    verdict: Verdict
    detail: str


class Audit(BaseModel):
    """The verdict on every operation of a model, in order of execution.

    Prints as a table on a rich console; :meth:`to_json` and :meth:`from_json` are exact.

    Args:
        model: Class name of the model.
        rows: The operations.
        schema_version: Version of the JSON form.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import Audit, audit
        >>> found = audit(nn.Sequential(nn.Linear(2, 3), nn.ELU(), nn.Linear(3, 1), nn.Sigmoid()), torch.zeros(1, 2))
        >>> found.convertible, [row.op for row in found.unsupported]
        (False, ['ELU(alpha=1.0)', 'Sigmoid()'])
        >>> Audit.from_json(found.to_json()) == found
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    model: str
    rows: list[AuditRow]

    @property
    def unsupported(self) -> list[AuditRow]:
        """The operations that prevent conversion."""
        return [row for row in self.rows if row.verdict is Verdict.UNSUPPORTED]

    @property
    def convertible(self) -> bool:
        """Whether no operation is unsupported."""
        return not self.unsupported

    def to_json(self) -> str:
        """The audit as JSON."""
        return self.model_dump_json(indent=2)

    @classmethod
    def from_json(cls, text: str) -> Audit:
        """Read what :meth:`to_json` wrote."""
        return cls.model_validate_json(text)

    def refusal(self) -> str:
        """One message that names every unsupported operation and how to rewrite it."""
        listed = "\n".join(f"  {row.name} ({row.op}): {row.detail}" for row in self.unsupported)
        count = len(self.unsupported)
        told = f"{self.model} cannot be converted, {count} operation{'s' * (count != 1)} unsupported:\n{listed}"
        traced = any(row.name != "forward" and row.shape is not None for row in self.unsupported)
        return (
            f"{told}\nWhat shall stay analog, and be priced as such, is named by allow_analog=[...]."
            if traced
            else told
        )

    def table(self) -> Table:
        """The audit as a rich table."""
        from rich.markup import escape
        from rich.table import Table

        title = f"{self.model}: {'convertible' if self.convertible else 'not convertible'}"
        table = Table("operation", "kind", "output", "verdict", "method or remedy", title=title)
        for row in self.rows:
            shape = "-" if row.shape is None else " x ".join(map(str, ("N", *row.shape)))
            colour = _COLOURS[row.verdict.value]
            verdict = f"[{colour}]{row.verdict.value}[/{colour}]"
            table.add_row(escape(row.name), escape(row.op), shape, verdict, escape(row.detail))
        return table

    def __rich__(self) -> Table:
        """What a rich console prints."""
        return self.table()


def audit(model: nn.Module, example: Inputs, *, allow_analog: Collection[str] = ()) -> Audit:
    """List every operation of ``model`` with its verdict; change nothing.

    Args:
        model: A module that takes tensors ``[N, ...]`` and returns tensors; its weights, mode, buffers and the
            random state stay as they are.
        example: An input ``[N, ...]`` with at least one sample; a tuple, or a dict by name, for several.
        allow_analog: Operations that may stay analog: names of rows, or what they are (``"GELU"``, ``"sigmoid"``).

    Returns:
        The audit. A model that cannot be traced (a Python branch on data, for instance) gives an unsupported row
        that names the line, and one for each module that has no rule.

    Raises:
        ConversionError: The example does not pass through the model.
        ConfigError: ``allow_analog`` names what the model does not have.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
        >>> [row.verdict.value for row in audit(model, torch.zeros(1, 1, 8, 8)).rows]
        ['exact', 'folded', 'approximated', 'exact', 'exact']
    """
    return audited(model, example, allow_analog)[0]


def audited(model: nn.Module, example: Inputs, allow_analog: Collection[str] = ()) -> tuple[Audit, Canonical | None]:
    """The audit together with the canonical copy it was made on (None where tracing failed).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.audit import audited
        >>> found, canonical = audited(nn.ReLU(), torch.zeros(1, 2))
        >>> found.convertible, len(canonical.operations)
        (True, 1)
    """
    model = unwrapped(model)
    name = type(model).__name__
    try:
        canonical = canonicalise(model, example, allow_analog=allow_analog)
    except TraceFailure as error:
        row = AuditRow(name="forward", op=name, shape=None, verdict=Verdict.UNSUPPORTED, detail=str(error))
        return Audit(model=name, rows=[row, *_parts(model)]), None
    rows = [
        AuditRow(name=o.name, op=o.op, shape=o.shape, verdict=o.finding.verdict, detail=o.finding.detail)
        for o in canonical.operations
    ]
    return Audit(model=name, rows=rows), canonical


def _parts(model: nn.Module) -> list[AuditRow]:
    """Modules of a model that cannot be traced which would be refused anyway."""
    known = tuple(kind for kinds, _ in MODULES for kind in kinds)
    bad = [
        (name, type(part).__name__, hint(type(part).__name__))
        for name, part in model.named_modules()
        if name and type(part).__module__.startswith("torch.nn.modules") and not _is_container(part)
        if not isinstance(part, (*known, TimeAware))
    ]
    return [
        AuditRow(name=name, op=op, shape=None, verdict=Verdict.UNSUPPORTED, detail=detail)
        for name, op, detail in [*bad, *hidden_effects(model)]
    ]


def _is_container(part: nn.Module) -> bool:
    return isinstance(part, nn.Sequential | nn.ModuleList | nn.ModuleDict)
