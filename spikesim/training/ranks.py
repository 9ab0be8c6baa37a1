"""Where this process stands among those that train one network together ("ranks"), and what they tell each other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spikesim.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from spikesim.training.config import TrainConfig


@dataclass(frozen=True)
class Place:
    """A process among its peers.

    Args:
        rank: its number, from 0; rank 0 alone writes files and speaks.
        world: processes on all machines.
        local_rank: its number on its machine.
        local_world: processes on its machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    @property
    def nodes(self) -> int:
        """Machines."""
        return self.world // self.local_world


def started_as_rank() -> bool:
    """Whether ``torchrun``, or :func:`spikesim.training.train` itself, started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "RANK" in os.environ


def place() -> Place:
    """The place of this process; alone where nothing else was said.

    >>> place()
    Place(rank=0, world=1, local_rank=0, local_world=1)
    """
    if not started_as_rank():
        return Place()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Place(*(int(os.environ[name]) for name in names))


def check_ranks(config: TrainConfig) -> None:
    """Raise unless the settings agree with this machine and with whoever started the processes.

    Raises:
        ConfigError: without the GPUs that are asked for, or under ``torchrun`` with another number of processes.
    """
    import torch

    gpus = torch.cuda.device_count() if config.device != "cpu" and torch.cuda.is_available() else 0
    if config.strategy == "fsdp" and not gpus:
        raise ConfigError(
            "strategy is 'fsdp', which shares out the weights over GPUs, but there is none to use here; "
            "on the CPU take --strategy ddp"
        )
    if config.sync_batchnorm and not gpus:
        raise ConfigError(
            "sync_batchnorm needs a GPU for every process, as torch's SyncBatchNorm has no form for the CPU; leave it "
            "out (every process then normalises by its own share of a batch), or use a network without batch-norm"
        )
    if gpus and config.devices > gpus:
        raise ConfigError(f"devices is {config.devices}, but torch finds {gpus} GPUs here; use --devices {gpus}")
    if config.strategy is None and place().world > 1:
        raise ConfigError(
            f"torchrun started {place().world} processes, but strategy does not say how they share the work; give "
            f"--devices {place().local_world} --strategy ddp"
        )
    if started_as_rank() and (here := place().local_world) != config.devices:
        raise ConfigError(
            f"torchrun started {here} processes on this machine, but devices is {config.devices}; give --devices {here}"
        )


def leave() -> None:
    """End the connection to the other processes, if there is one."""
    import torch.distributed as dist

    if started_as_rank() and dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def own_threads(config: TrainConfig) -> int | None:
    """CPU threads of this process: those asked for, else its share of the machine, or torch's choice if it is alone."""
    if config.threads is not None or not started_as_rank():
        return config.threads
    return max(1, (os.cpu_count() or 1) // place().local_world)


def summed(value: Tensor) -> Tensor:
    """The sum over all processes, without a gradient; the value itself where there is one process.

    >>> import torch
    >>> summed(torch.tensor(3))
    tensor(3)
    """
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def gathered(value: Any) -> list[Any]:
    """What every process gives, by rank; tensors must lie on the CPU.

    >>> gathered("a")
    ['a']
    """
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return [value]
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found
