"""How a model is called: which of its arguments are tensors, and how their graph takes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, fx, nn
from torch.fx.graph import CodeGen

from spikesim.converters.inputs import Inputs, tensors_of
from spikesim.errors import ConversionError

_KINDS = inspect.Parameter


@dataclass(frozen=True)
class Signature:
    """The tensors that a model is given.

    Args:
        names: Of the inputs, in order.
        form: ``"one"`` tensor, a ``"tuple"`` by place, or a ``"dict"`` by name.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.signature import Signature
        >>> x = torch.ones(2, 3)
        >>> Signature.of(nn.Bilinear(3, 3, 1), (x, x)).names
        ('input1', 'input2')
    """

    names: tuple[str, ...] = ("x",)
    form: Literal["one", "tuple", "dict"] = "one"

    @classmethod
    def of(cls, model: nn.Module, x: Inputs) -> Signature:
        """How ``model`` is to be called with ``x``.

        Raises:
            ConversionError: The forward takes other arguments; both are named.
        """
        if isinstance(x, Tensor):
            needed = required(model)
            if len(needed) > 1:
                raise ConversionError(
                    f"the forward of {type(model).__name__} needs {len(needed)} tensors ({', '.join(needed)}), and one "
                    f"is given: give a tuple of them, or a dict by name such as {{'{needed[0]}': ...}}"
                )
            return cls()
        arguments = _arguments(model)
        given = list(x) if isinstance(x, dict) else [f"{len(x)} tensors"]
        taken = f"the forward of {type(model).__name__} takes ({', '.join(map(_written, arguments))})"
        if isinstance(x, dict):
            free = any(a.kind is _KINDS.VAR_KEYWORD for a in arguments)
            unknown = [k for k in x if not free and k not in {a.name for a in arguments}]
            missing = [name for name in required(model) if name not in x]
            if unknown or missing:
                raise ConversionError(f"the inputs are called {', '.join(given)}, but {taken}: name them as it does")
            ordered = [a.name for a in arguments if a.name in x]
            return cls((*ordered, *(k for k in x if k not in ordered)), "dict")
        by_place = [a for a in arguments if a.kind in (_KINDS.POSITIONAL_ONLY, _KINDS.POSITIONAL_OR_KEYWORD)]
        names = [a.name for a in by_place][: len(x)]
        rest = next((a for a in arguments if a.kind is _KINDS.VAR_POSITIONAL), None)
        if rest is not None:
            names += [f"{rest.name}_{place}" for place in range(len(names), len(x))]
        if len(names) != len(x) or len(required(model)) > len(x):
            raise ConversionError(f"the inputs are {given[0]}, but {taken}: give as many, or a dict by name")
        return cls(tuple(names), "tuple")

    def flat(self, x: Any) -> list[Tensor]:
        """The tensors in the order of ``names``."""
        return [x[name] for name in self.names] if self.form == "dict" else tensors_of(x)

    def call(self, function: Callable[..., Any], x: Any) -> Any:
        """``function`` of the inputs."""
        if self.form == "dict":
            return function(**x)
        return function(*x) if self.form == "tuple" else function(x)

    def codegen(self) -> CodeGen:
        """What lets a graph take all inputs as one argument, as a :class:`spikesim.nn.Network` gives them."""
        return CodeGen() if self.form == "one" else _Several(self.names)


def names_of(graph: fx.Graph) -> list[str]:
    """Names of the inputs that a graph takes as one argument; none where it takes one tensor."""
    code = graph._codegen
    return list(code.names) if isinstance(code, _Several) else []


def required(model: nn.Module) -> list[str]:
    """Names of the arguments without which ``model`` cannot be called.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.signature import required
        >>> required(nn.Bilinear(3, 3, 1)), required(nn.Sequential())
        (['input1', 'input2'], ['input'])
    """
    bare = (_KINDS.VAR_POSITIONAL, _KINDS.VAR_KEYWORD)
    return [a.name for a in _arguments(model) if a.default is _KINDS.empty and a.kind not in bare]


def optional(model: nn.Module) -> list[str]:
    """Names of the arguments that ``model`` takes and does not need.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.signature import optional
        >>> optional(nn.ConvTranspose1d(1, 1, 1)), optional(nn.ReLU())
        (['output_size'], [])
    """
    return [a.name for a in _arguments(model) if a.default is not _KINDS.empty]


def arity(model: nn.Module) -> int:
    """How many tensors a model takes at least: 2 for a forward of any number, ``forward(self, *inputs)``.

    A tuple of so many tensors is then its input, and no tensor with its labels.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.signature import arity
        >>> arity(nn.Bilinear(3, 3, 1)), arity(nn.ReLU())
        (2, 1)
    """
    several = any(a.kind is _KINDS.VAR_POSITIONAL for a in _arguments(model))
    return max(len(required(model)), 2 if several else 1)


def _written(argument: inspect.Parameter) -> str:
    return str(argument.replace(annotation=_KINDS.empty))


def _arguments(model: nn.Module) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):  # a forward that is not written in Python does not tell
        return []


class _Several(CodeGen):
    """Code whose one argument is a tuple of all inputs, or a dict of them by name."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names

    def process_inputs(self, *args: Any) -> Any:
        """The inputs in the order of the placeholders."""
        [x] = args
        if isinstance(x, dict) and set(x) == set(self.names):
            return tuple(x[name] for name in self.names)
        if isinstance(x, tuple | list) and len(x) == len(self.names):
            return tuple(x)
        given = list(x) if isinstance(x, dict) else f"{len(tensors_of(x))} tensors"
        raise ConversionError(
            f"the network was converted for the inputs {', '.join(self.names)}, and is given {given}: give a tuple of "
            "them in this order, or a dict"
        )

    def gen_fn_def(self, free_vars: list[str], maybe_return_annotation: str, **options: Any) -> str:
        """The head of the function."""
        head = super().gen_fn_def(["inputs"], maybe_return_annotation, **options)
        names = [name.split(":")[0].split("#")[0].strip() for name in free_vars]
        return f"{head}\n    {', '.join(names)}, = self.graph._codegen.process_inputs(inputs)"
