"""The Lightning module: one network, a loss over time, an optimiser with a warm-up and a cosine."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as lightning
import torch
from torch import nn
from torch.nn import functional
from torchmetrics.classification import MulticlassAccuracy

from spikesim.datasets import EventBatch
from spikesim.energy import SynapticOperations
from spikesim.errors import CheckpointError, ConfigError, DivergenceError
from spikesim.nn import Network
from spikesim.training.activity import Activity, rate_penalty
from spikesim.training.diverged import save_diverged
from spikesim.training.evaluation import scores
from spikesim.training.losses import CrossEntropy, Loss
from spikesim.training.metrics import SampleMean
from spikesim.training.ranks import gathered, summed
from spikesim.training.rates import FiringRates
from spikesim.training.rules.online import online_loss
from spikesim.training.schedule import warmup_cosine


class SpikingClassifier(lightning.LightningModule):
    """Train a spiking network to name the class of a recording.

    Logged once per epoch: ``train_loss``, ``train_accuracy``, ``val_loss``, ``val_accuracy`` (losses in
    nats, accuracies as fractions) and ``rate/<layer>`` for every spiking layer, measured on the
    validation set in spikes per neuron and time step.

    Args:
        network: with a readout over time, giving ``[N, classes]``.
        classes: number of classes.
        loss: of the scores over time; by default cross-entropy of what the readout makes of them.
        optimizer: "adamw", or "sgd" with Nesterov momentum of 0.9.
        lr: peak learning rate.
        weight_decay: decay of tensors with two or more axes; biases, batch-norm and neuron parameters
            are left alone.
        warmup: share of all steps in which the learning rate rises.
        rates: weight, least and largest firing rate of :func:`rate_penalty`, which is added to the loss.
        synops: weight of the synaptic operations per connection and recording
            (:class:`spikesim.energy.SynapticOperations`), which are added to the loss.
        compile: compile the forward of training with ``torch.compile``.
        rule: "bptt", or "ottt" or "sltt" (:func:`spikesim.training.rules.online_loss`).
        metadata: numbers and strings to store in checkpoints, beside the weights.
        diverged: file that receives weights and batch where the loss becomes NaN or infinite.

    Raises:
        ConfigError: the network has no readout.
        DivergenceError: the loss became NaN or infinite.

    Example:
        >>> from spikesim.models import conv_snn
        >>> from spikesim.training import SpikingClassifier
        >>> SpikingClassifier(conv_snn(width=4), classes=10).lr
        0.004
    """

    def __init__(
        self,
        network: Network,
        classes: int,
        loss: Loss | None = None,
        *,
        optimizer: Literal["adamw", "sgd"] = "adamw",
        lr: float = 4e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.1,
        rates: tuple[float, float, float] | None = None,
        synops: float = 0.0,
        compile: bool = False,
        rule: Literal["bptt", "ottt", "sltt"] = "bptt",
        metadata: dict[str, Any] | None = None,
        diverged: Path | None = None,
    ) -> None:
        super().__init__()
        if network.readout is None:
            raise ConfigError("the network has no readout over time; build it with Network(..., readout=Mean())")
        self.network = network
        self.loss = loss or CrossEntropy(network.readout)
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.rates = rates
        self.synops = synops
        self.rule = rule
        self._synops: SynapticOperations | None = None
        # Not the module: its state is saved, and compiled modules rename it.
        self._unread: Any = torch.compile(network.unread) if compile else network.unread
        self.metadata = metadata or {}
        # Known before the parameters are shared out, which makes them flat.
        self._decayed = {name for name, p in network.named_parameters() if p.ndim >= 2}
        self.diverged = diverged
        self.train_accuracy = MulticlassAccuracy(classes, average="micro")
        self.val_accuracy = MulticlassAccuracy(classes, average="micro")
        names = ("train_loss", "val_loss", "rate_penalty", "synops_per_connection")
        self._means: Any = nn.ModuleDict({name: SampleMean() for name in names})
        self._rates: FiringRates | None = None

    def training_step(self, batch: EventBatch, index: int) -> torch.Tensor:
        """Give the loss of one batch."""
        activity = Activity(self.network) if self.rates else None
        # Counting first: it runs the network once by itself, which is no activity of the batch.
        with self._counting(batch) as counted, activity or nullcontext():
            if self.rule == "bptt":
                y = self._unread(batch.x.float(), batch.mask)
                loss = self.loss(y, batch.y, batch.mask)
            else:
                x = batch.x.float()
                loss, y = online_loss(self.network, x, batch.y, self.loss, rule=self.rule, mask=batch.mask)
        if activity is not None and self.rates is not None:
            weight, low, high = self.rates
            penalty = rate_penalty(activity.rates(batch.mask), low=low, high=high)
            self._log("rate_penalty", penalty, len(batch.y))
            loss = loss + weight * penalty
        if counted is not None:
            crossed = counted.per_connection(batch.mask)
            self._log("synops_per_connection", crossed, len(batch.y))
            loss = loss + self.synops * crossed.to(loss.dtype)
        samples = self._agreed(loss, batch, index)
        self.train_accuracy(self.network.read_out(y.detach(), batch.mask), batch.likeliest)
        self._log("train_loss", loss, len(batch.y))
        self._log("train_accuracy", self.train_accuracy, len(batch.y))
        # Gradients are averaged over processes; the last batch may hold one sample more on some of them.
        return loss if samples is None else loss * (len(batch.y) * self.trainer.world_size / samples)

    def _agreed(self, loss: torch.Tensor, batch: EventBatch, index: int) -> torch.Tensor | None:
        """Raise if the loss is not finite, on all processes alike; give the samples of all, None for one process."""
        finite = torch.isfinite(loss.detach())
        if self._trainer is None or self.trainer.world_size == 1:  # a step may be made without a trainer
            if not finite:
                raise self._diverged(loss.item(), batch, index)
            return None
        told = summed(torch.stack([torch.full_like(finite, len(batch.y), dtype=torch.long), (~finite).long()]))
        if told[1]:
            # Whoever went on alone would wait for the others' gradients for ever.
            texts = gathered("" if finite else str(self._diverged(loss.item(), batch, index)))
            raise DivergenceError(next(text for text in texts if text))
        return told[0]

    def _diverged(self, loss: float, batch: EventBatch, index: int) -> DivergenceError:
        epoch = self.current_epoch + 1
        kept = ""
        if self.diverged is not None:
            # No step was made with this loss, but batch-norm has seen the batch, as has the random generator.
            about = {**self.metadata, "epoch": epoch, "batch": index + 1, "loss": loss, "random": torch.get_rng_state()}
            kept = f"; its batch and the weights are in {save_diverged(self.diverged, self.state_dict(), batch, about)}"
        broken = [name for name, value in self.network.named_parameters() if not bool(value.isfinite().all())]
        where = f", where {', '.join(broken[:3])} had become NaN or infinite before" if broken else ""
        finite = "" if bool(batch.x.float().isfinite().all()) else "; the batch itself is not finite"
        return DivergenceError(
            f"the loss became {loss} in epoch {epoch}, batch {index + 1}{where}{finite}; "
            f"try a lower learning rate (it was {self.lr:g}), a longer warm-up (it was {self.warmup:g}) or "
            f"--clip 1{kept}"
        )

    def _counting(self, batch: EventBatch) -> AbstractContextManager[SynapticOperations | None]:
        """What counts synaptic operations for the loss, if they are part of it."""
        if not self.synops:
            return nullcontext()
        if self._synops is None:
            kind: Literal["analog", "events"] = "analog" if batch.x.is_floating_point() else "events"
            # Full precision, and without a trace in the random numbers: a resumed run does this once more.
            with torch.random.fork_rng(), torch.autocast(self.device.type, enabled=False):
                self._synops = SynapticOperations(self.network, batch.x[:, :1], input=kind)
        return self._synops

    def on_validation_epoch_start(self) -> None:
        """Start to count spikes."""
        self._rates = FiringRates(self.network).__enter__()

    def validation_step(self, batch: EventBatch, index: int) -> None:
        """Measure one batch of the validation set."""
        if self._rates is not None:
            self._rates.mask = batch.mask
        logits = scores(self.network, batch)
        self.val_accuracy(logits, batch.likeliest)
        self._log("val_loss", functional.cross_entropy(logits, batch.y), len(batch.y))
        self._log("val_accuracy", self.val_accuracy, len(batch.y))

    def on_validation_epoch_end(self) -> None:
        """Log the rates of the epoch and stop counting."""
        if self._rates is None:
            return
        self._rates.__exit__(None, None, None)
        for layer, rate in self._rates.means(shared=True).items():
            self.log(f"rate/{layer}", rate, sync_dist=True)
        self._rates = None

    def configure_optimizers(self) -> dict[str, Any]:
        """Set up the optimiser and the schedule over all steps of the run."""
        # FSDP puts a name of its own before those of the layers that it wraps.
        named = [(n.replace("_fsdp_wrapped_module.", ""), p) for n, p in self.network.named_parameters()]
        learnt = [(n, p) for n, p in named if p.requires_grad]
        groups = [
            {"params": [p for n, p in learnt if n in self._decayed], "weight_decay": self.weight_decay},
            {"params": [p for n, p in learnt if n not in self._decayed], "weight_decay": 0.0},
        ]
        optimizer: torch.optim.Optimizer = (
            torch.optim.AdamW(groups, lr=self.lr)
            if self.optimizer == "adamw"
            else torch.optim.SGD(groups, lr=self.lr, momentum=0.9, nesterov=True)
        )
        total = int(self.trainer.estimated_stepping_batches)
        warmup = round(self.warmup * total)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, warmup, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what an exact resume needs; only tensors, numbers and strings go in."""
        random: dict[str, Any] = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device).cpu()
        if self.trainer.world_size > 1:
            random["ranks"] = gathered(dict(random))
        checkpoint["spikesim"] = {**self.metadata, "random": random}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the generator states of the checkpoint until training starts."""
        self._random = checkpoint["spikesim"]["random"]

    def on_train_start(self) -> None:
        """Continue the generators where the checkpoint left them: set-up has drawn from them since."""
        random = self.__dict__.pop("_random", None)
        rank, world = self.trainer.global_rank, self.trainer.world_size
        if random is None:
            if rank:  # dropout and noise differ between samples, so between processes, too
                torch.manual_seed(torch.initial_seed() + rank)
            return
        ranks = random.get("ranks", [random])
        if len(ranks) != world:
            raise CheckpointError(
                f"the run was trained by {len(ranks)} processes, but {world} continue it; start as many as before"
            )
        random = ranks[rank]
        torch.set_rng_state(random["cpu"].cpu())
        if "cuda" in random and self.device.type == "cuda":
            torch.cuda.set_rng_state(random["cuda"].cpu(), self.device)

    def _log(self, name: str, value: Any, samples: int) -> None:
        if isinstance(value, torch.Tensor):
            # Lightning's own mean over processes rounds their average number of samples to a whole one.
            self._means[name].update(value.detach(), samples)
            value = self._means[name]
        self.log(name, value, on_step=False, on_epoch=True, batch_size=samples)
