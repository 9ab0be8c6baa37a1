"""What a model may come wrapped in, and what it must not be."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from spikesim.errors import ConversionError


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, out of ``torch.compile`` and data parallelism, if it can be read and has weights.

    Args:
        model: As the user has it.

    Raises:
        ConversionError: It is no module, it or a part of it is TorchScript, or its weights are on the meta device.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.entrance import unwrapped
        >>> layer = nn.Linear(2, 3)
        >>> unwrapped(nn.DataParallel(layer)) is layer
        True
    """
    given: object = model
    if not isinstance(given, nn.Module):
        raise ConversionError(f"the model is a {type(given).__name__}; expected a torch.nn.Module with its weights")
    while True:
        inner = getattr(model, "_orig_mod", None)
        if isinstance(model, nn.DataParallel | DistributedDataParallel):
            inner = model.module
        if inner is None:
            break
        model = inner
    for name, part in model.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            raise ConversionError(
                f"{repr(name) if name else 'the model'} is TorchScript, whose operations cannot be rewritten: give the "
                "nn.Module that it was made from, before torch.jit.script or torch.jit.trace"
            )
    empty = [n for n, value in (*model.named_parameters(), *model.named_buffers()) if value.is_meta]
    if empty:
        raise ConversionError(
            f"the weights hold no values: {', '.join(map(repr, empty[:3]))}{' and more' if len(empty) > 3 else ''} "
            "are on the meta device; call model.to_empty(device='cpu') and load a state dict"
        )
    return model
