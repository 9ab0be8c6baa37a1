"""A group of commands of which one needs no name: ``spikesim energy MODEL`` beside ``spikesim energy diff A B``."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

DEFAULT = "model"


class WithDefault(TyperGroup):
    """Whatever is not the name of another command goes to the command called ``model``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the default command in front of its arguments."""
        if not args or args[0] not in self.commands or args[0] == DEFAULT:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; the default one is shown without its name."""
        name, command, rest = super().resolve_command(ctx, args)
        return ("" if name == DEFAULT else name), command, rest
