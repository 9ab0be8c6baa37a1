"""What a module does beside its class: forward hooks and replaced forwards, which a graph does not show."""

from __future__ import annotations

from torch import nn

_REMEDY = "which a graph does not show: write it into the forward of a module, or remove it before converting"


def hidden_effects(model: nn.Module) -> list[tuple[str, str, str]]:
    """Modules that carry forward hooks or a forward of their own; torch's own (old weight norm, pruning) are left out.

    Args:
        model: The model with all its parts.

    Returns:
        Name, class and reason of each.

    Example:
        >>> from torch import nn
        >>> from spikesim.converters.hidden import hidden_effects
        >>> model = nn.Sequential(nn.ReLU())
        >>> _ = model[0].register_forward_hook(lambda module, given, output: output * 2)
        >>> [(name, kind) for name, kind, _ in hidden_effects(model)]
        [('0', 'ReLU')]
    """
    found = []
    for name, module in model.named_modules():
        hooks = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
        own = [h for h in hooks if not str(getattr(h, "__module__", "")).startswith("torch.nn.utils")]
        if own or "forward" in vars(module):
            what = f"{len(own)} forward hook(s)" if own else "a forward set on the instance"
            found.append((name or "model", type(module).__name__, f"it carries {what}, {_REMEDY}"))
    return found
