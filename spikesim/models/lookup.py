"""Find a network by name: a built-in one, or ``package.module:factory`` of the user's own."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

from torch import nn

from spikesim.errors import ConfigError, SpikesimError
from spikesim.models.conv_snn import conv_snn
from spikesim.models.decoder import decoder
from spikesim.models.digits_cnn import digits_cnn
from spikesim.models.mlp import conv_ann, mlp, spiking_mlp
from spikesim.models.mobilenet import mobilenet_v2
from spikesim.models.plif import plif_cifar10dvs, plif_gesture, plif_nmnist
from spikesim.models.residual_snn import ms_resnet, sew_resnet
from spikesim.models.resnet import resnet
from spikesim.models.shd import shd_delays, shd_recurrent
from spikesim.models.spikformer import spikformer
from spikesim.models.spiking_vgg import spiking_vgg, vggsnn
from spikesim.models.unet import unet
from spikesim.models.vgg import vgg
from spikesim.models.vit import vit

Factory = Callable[..., nn.Module]

BUILT_IN: dict[str, Factory] = {
    "conv_ann": conv_ann,
    "conv_snn": conv_snn,
    "decoder": decoder,
    "digits_cnn": digits_cnn,
    "mlp": mlp,
    "mobilenet_v2": mobilenet_v2,
    "ms_resnet": ms_resnet,
    "plif_cifar10dvs": plif_cifar10dvs,
    "plif_gesture": plif_gesture,
    "plif_nmnist": plif_nmnist,
    "resnet": resnet,
    "sew_resnet": sew_resnet,
    "shd_delays": shd_delays,
    "shd_recurrent": shd_recurrent,
    "spikformer": spikformer,
    "spiking_mlp": spiking_mlp,
    "spiking_vgg": spiking_vgg,
    "unet": unet,
    "vgg": vgg,
    "vggsnn": vggsnn,
    "vit": vit,
}
"""The networks of this package, by name."""


def find_factory(name: str) -> Factory:
    """Find the function or class that builds a network.

    Args:
        name: a name in :data:`BUILT_IN`, or ``package.module:factory``; the module may stand in the
            current folder.

    Raises:
        ConfigError: the name has another form, the module cannot be imported or has no such factory.

    Example:
        >>> from spikesim.models import find_factory
        >>> find_factory("spikesim.models:conv_snn").__name__
        'conv_snn'
        >>> find_factory("spikesim.models:missing")
        Traceback (most recent call last):
        spikesim.errors.ConfigError: module 'spikesim.models' has no 'missing'; ...
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise ConfigError(f"'{name}' names no network; give package.module:factory, or one of {', '.join(BUILT_IN)}")
    module = _import(module_name)
    found: Any = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if found is None:
        known = ", ".join(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
        raise ConfigError(f"module '{module_name}' has no '{attribute}'; it offers: {known or 'no function'}")
    if not callable(found):
        raise ConfigError(
            f"'{name}' is a {type(found).__name__}, not something to call; "
            "give a function or class that returns a torch.nn.Module"
        )
    factory: Factory = found
    return factory


def fitting(name: str, **options: Any) -> dict[str, Any]:
    """Those of ``options`` that the factory of a network of this package takes; none for a factory of the user's own.

    Args:
        name: as in :func:`find_factory`.
        **options: keyword arguments, such as ``channels``, ``classes``, ``size`` and ``inputs``.

    Example:
        >>> from spikesim.models.lookup import fitting
        >>> fitting("spiking_mlp", inputs=100, classes=3, size=10)
        {'inputs': 100, 'classes': 3}
    """
    if name not in BUILT_IN:
        return {}
    taken = inspect.signature(BUILT_IN[name]).parameters
    return {key: value for key, value in options.items() if key in taken}


def build(name: str, **options: Any) -> nn.Module:
    """Build the network called ``name`` with the given options.

    Args:
        name: as in :func:`find_factory`.
        **options: keyword arguments of the factory.

    Raises:
        ConfigError: no such factory, it raises, or it returns no module.

    Example:
        >>> from spikesim.models import build
        >>> type(build("digits_cnn", width=4)).__name__
        'DigitsCNN'
    """
    factory = find_factory(name)
    try:
        model = factory(**options)
    except SpikesimError:
        raise
    except Exception as error:  # whatever the user's own code raises is theirs to mend
        given = ", ".join(options) or "no argument"
        raise ConfigError(
            f"'{name}', called with {given}, raised {type(error).__name__}: {error}; "
            "give a factory that works when called like this"
        ) from error
    if not isinstance(model, nn.Module):
        raise ConfigError(f"'{name}' returned a {type(model).__name__}, expected a torch.nn.Module; return the network")
    return model


def _import(module_name: str) -> Any:
    here = os.getcwd()
    # The command's own folder is on the path, not the user's: their model.py would not be found.
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"cannot import '{module_name}': no module '{error.name}' is installed or stands in {here}"
        ) from error
    except SyntaxError as error:
        raise ConfigError(f"cannot import '{module_name}': {error}") from error
    finally:
        if added:
            sys.path.remove(here)
