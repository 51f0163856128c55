"""The base of all tasks: a net, its losses and metrics, its optimizer, what is logged, and exact resumption.

A task (one way of training) subclasses :class:`LightningModule` and says how a batch becomes a prediction
and a target. Everything else, from the logged values to the state that a resumed run needs, is here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from nam_like.config.component import Component
from nam_like.errors import UserError
from nam_like.losses import time as waveform
from nam_like.losses.sum import WeightedSum
from nam_like.metrics.base import AnyMetric, exact_dtype
from nam_like.metrics.esr import ESR, MSE
from nam_like.optim.build import Schedule, build_optimizer, build_scheduler, needs_total_steps
from nam_like.registry import NETS
from nam_like.train.callbacks.curriculum import optimizer_steps
from nam_like.train.checkpoints import RECORD
from nam_like.train.errors import DivergedError
from nam_like.train.queued import QueuedSteps
from nam_like.train.random_state import get_random_state, set_random_state

if TYPE_CHECKING:
    from nam_like.train.exporting import Ready
    from nam_like.train.finish import HandedOn
    from nam_like.train.fit import Fitted
    from nam_like.train.prepare import Job
    from nam_like.train.run_folder import RunFolder

__all__ = ["Batch", "LightningModule"]


#: ``(x, *conditions, y)``, each with a leading batch axis.
Batch = tuple[Tensor, ...]


class LightningModule(QueuedSteps):
    """A net and how it is trained.

    Logged per epoch: ``train_loss`` and ``train_<term>`` (means over the batches), ``lr``; per validation:
    ``val_loss`` (what checkpoints are ranked by), ``val_<term>``, and each metric under its own name.

    Args:
        net: the net.
        objective: the weighted loss terms.
        optimizer: component of the optimizer; None for a module that is only evaluated.
        lr_scheduler: the schedule of its learning rate.
        val_loss: what ``val_loss`` is: a metric that the task always has, in small letters (``"mse"``,
            ``"esr"``), ``"total"`` (the weighted sum), or the name of a term or metric. A metric that is
            better when larger counts with its sign turned.
        metrics: further metrics by the name they are logged under, beside those that the task always has.
    """

    # With several processes there may be fewer validation files than processes.
    allow_zero_length_dataloader_with_multiple_devices = True

    def __init__(
        self,
        net: nn.Module,
        objective: WeightedSum,
        *,
        optimizer: Component | None = None,
        lr_scheduler: Schedule | None = None,
        val_loss: str = "mse",
        metrics: Mapping[str, AnyMetric] | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.objective = objective
        self.optimizer_component = optimizer
        self.schedule = lr_scheduler
        self.val_loss = val_loss
        others = cast("dict[str, nn.Module]", dict(metrics or {}))
        own = cast("dict[str, nn.Module]", self.standard_metrics())
        self.standard = tuple(own)
        self.val_metrics = nn.ModuleDict({**own, **others})
        self._check_val_loss()
        #: Written into every checkpoint: resolved configs, versions, seed, sample rate.
        self.record: dict[str, Any] = {}
        self._resumed: dict[str, Any] | None = None
        self._loader_states: list[Any] = []
        self._lr: float | None = None
        self._train_sums: Tensor | None = None
        self._train_batches = 0
        self._val_sums: Tensor | None = None
        self._validated: dict[str, float] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":
            # Lightning sets it before every hook, dozens of times per step, and a module's own way is slow.
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    @staticmethod
    def register_net_initializer(
        name: str, constructor: Callable[[dict[str, Any]], nn.Module] | None = None, overwrite: bool = False
    ) -> Any:
        """Register a net under a name for ``net.name``; without `constructor` it returns a decorator.

        Args:
            name: the name.
            constructor: called with the raw ``net.config`` object, returns the net.
            overwrite: replace an entry of that name.

        Raises:
            DuplicateNameError: the name is taken and `overwrite` is false.
        """
        return NETS.register(name, constructor, takes_dict=True, overwrite=overwrite)

    # -- what a task defines ----------------------------------------------------------------------

    def predict_batch(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Prediction and target of a training batch, both ``(B, L)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define `predict_batch`")

    def predict_whole(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Prediction and target of a validation batch, whose items may be whole files."""
        return self.predict_batch(batch)

    def standard_metrics(self) -> dict[str, AnyMetric]:
        """The metrics that the task always has, by the names they are logged under."""
        return {"MSE": MSE(), "ESR": ESR()}

    def losses(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a training batch, scalar, and the value of each active term."""
        return cast("tuple[Tensor, dict[str, Tensor]]", self.objective(*self.predict_batch(batch)))

    def measure(self, batch: Any, batch_idx: int) -> None:
        """Add one validation batch to the sums (:meth:`add_to_validation`) and metrics."""
        kept = self.fresh_rows(batch_idx, len(batch[0]))
        batch = tuple(tensor[:kept] for tensor in batch)
        if kept == 0:
            return
        if self._trainer is not None and self.trainer.sanity_checking:
            batch = self.opening(batch)
        prediction, target = self.predict_whole(batch)
        total, values = self.objective(prediction, target, every_term=True)
        prediction, target = self.objective.mask(prediction, target)
        for metric in self.metrics().values():
            metric.update(prediction.float(), target.float())
        self.add_to_validation(total, values, float(target.numel()))

    def rehearse(self, job: Job) -> None:
        """Play a little of each split through net and losses before training; nothing unless defined.

        Raises:
            UserError: something does not fit.
        """

    def ready_to_export(self, job: Job, training: dict[str, Any]) -> Ready:
        """The trained net as it is exported, with its metadata and audio to try it on.

        Args:
            job: the run; its net is on the CPU and has the best weights.
            training: the record of the training.
        """
        from nam_like.train.exporting import ready_net

        user = job.config.data.metadata.model_dump(exclude_none=True)
        return ready_net(cast(Any, job.net), job.datasets, user, training)

    def show_results(self, job: Job, result: HandedOn, fitted: Fitted, folder: RunFolder, show: bool) -> None:
        """Draw the pictures of a finished run and write its report."""
        from nam_like.train.results import show_aligned_results

        show_aligned_results(job, result, fitted, folder, show=show)

    def opening(self, batch: Batch) -> Batch:
        """What of a validation batch is played before training, to find out whether a validation runs."""
        return batch

    # -- steps ------------------------------------------------------------------------------------

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Evaluate the loss of one batch, or hand it to the queue; the sums stay on the device."""
        if self._lr is None and self.trainer.optimizers:
            self._lr = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        self._train_batches += 1
        return self.train_loss(batch) if self.queue is None else self.queue.push(batch)

    def train_loss(self, batch: Any) -> Tensor:
        """The loss of a training batch, which is added to the sums behind the logged means."""
        total, values = self.losses(batch)
        latest = torch.stack([total.detach(), *(value.detach() for value in values.values())])
        if self._train_sums is None:
            self._train_sums = latest
        else:
            self._train_sums += latest  # in place: a recorded step adds where the first ones did
        return total

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Add one batch to the validation sums and metrics."""
        self.measure(batch, batch_idx)

    def add_to_validation(self, total: Tensor, values: Mapping[str, Tensor], weight: float) -> None:
        """Add the loss and its terms (all of them) to the validation means, with a weight."""
        row = torch.stack([total, *values.values(), torch.ones_like(total)])
        row = row.to(exact_dtype(row.device)) * weight
        self._val_sums = row if self._val_sums is None else self._val_sums + row

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._val_sums = None
        for metric in self.metrics().values():
            metric.reset()

    def on_validation_epoch_end(self) -> None:
        """Log the validation values, reduced over all processes."""
        names = ("total", *self.objective.names)
        sums = self._val_sums
        if sums is None:  # this process had no file
            sums = torch.zeros(len(names) + 1, dtype=exact_dtype(self.device), device=self.device)
        sums = self._summed(sums)
        terms = dict(zip(names, (sums[:-1] / sums[-1]).tolist(), strict=True))
        values = {f"val_{name}": terms[name] for name in self.objective.names}
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message=r"The ``compute`` method of metric", category=UserWarning
            )
            values |= {name: float(metric.compute()) for name, metric in self.metrics().items()}
        values["val_loss"] = self._ranked(terms, values)
        # Logged in float64 the exact value survives in file names; Lightning's own default is float32.
        self.log_dict({name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()})
        self._validated = values

    def on_train_epoch_end(self) -> None:
        """Log the training means, and finish what a run interrupted at the end of an epoch had left."""
        self.flush()
        self._log_train_means()
        if self._resumed is not None:
            self._step_missed_plateau()
            self._resumed = None

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Make the optimizer of the net's parameters, and its schedule."""
        if self.optimizer_component is None:
            return None
        optimizer = build_optimizer(self.optimizer_component, self.net.parameters())
        if self.schedule is None:
            return optimizer
        steps = None
        if needs_total_steps(self.schedule):
            known = optimizer_steps(self.trainer) if self._trainer is not None else 1000
            steps = int(known) if math.isfinite(known) else None
        return cast(
            OptimizerLRScheduler,
            {"optimizer": optimizer, "lr_scheduler": build_scheduler(self.schedule, optimizer, steps)},
        )

    # -- resumption -------------------------------------------------------------------------------

    def metrics(self) -> dict[str, AnyMetric]:
        """What a validation measures, by the names that are logged."""
        return cast("dict[str, AnyMetric]", dict(self.val_metrics.items()))

    @property
    def validated(self) -> dict[str, float]:
        """The values of the last validation, by the names they are logged under."""
        return dict(self._validated)

    @property
    def train_mean(self) -> float | None:
        """Mean training loss of this epoch so far (waits for the device); None before the first batch."""
        done = self._train_batches - (0 if self.queue is None else self.queue.waiting)
        return float(self._train_sums[0]) / done if self._train_sums is not None and done else None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what an exact continuation needs, and what the file says about itself."""
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress.current
        random_states: list[Any] = [get_random_state()]
        if self.trainer.world_size > 1:
            random_states = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(random_states, get_random_state())
        accumulated = {name: p.grad for name, p in self.net.named_parameters() if p.grad is not None}
        every = self.trainer.accumulate_grad_batches
        checkpoint[RECORD] = {
            **self.record,
            "metrics": self.validated,
            "position": {"epoch": self.trainer.current_epoch, "batch": progress.processed},
            "random_states": random_states,
            "train_sums": self._train_sums if self._train_batches else None,
            "train_batches": self._train_batches,
            "lr": self._lr,
            # Between two optimizer steps the gradients belong to the state.
            "gradients": accumulated if progress.processed % every else {},
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep our part of the checkpoint until training starts."""
        record = checkpoint.get(RECORD)
        if isinstance(record, dict) and "position" in record:
            self._resumed = record
            # When the number of steps is asked for early, Lightning makes the loader before it knows where
            # to go on, and forgets to tell it.
            self._loader_states = checkpoint["loops"]["fit_loop"]["state_dict"].get("combined_loader", [])

    def on_train_start(self) -> None:
        """Restore what Lightning does not: generators, gradients, and the last validation's values."""
        record = self._resumed
        if record is None:
            return
        states = record["random_states"]
        set_random_state(states[self.global_rank % len(states)])
        for name, parameter in self.net.named_parameters():
            if name in record["gradients"]:
                parameter.grad = record["gradients"][name].to(parameter)
        if record["train_sums"] is not None:  # it was saved within an epoch
            self._train_sums = record["train_sums"].to(self.device)
            self._train_batches = record["train_batches"]
            self._lr = record["lr"]
        if self.trainer.fit_loop.restarting and self._loader_states:
            cast(Any, self.trainer.train_dataloader).load_state_dict(self._loader_states[0])
        self._validated = dict(record["metrics"])
        known = {name: torch.tensor(value) for name, value in self._validated.items()}
        self.trainer.callback_metrics.update(known)

    # -- details ----------------------------------------------------------------------------------

    def _check_val_loss(self) -> None:
        standard = (name.lower() for name in self.standard)
        known = tuple(dict.fromkeys((*standard, "total", *self.objective.names, *self.val_metrics)))
        if self.val_loss not in known:
            raise UserError(
                f"expected loss.val_loss to be one of {', '.join(known)}, but got '{self.val_loss}'"
            )

    def _ranked(self, terms: dict[str, float], values: dict[str, float]) -> float:
        """The value called ``val_loss``; for plain MSE and ESR terms the metrics, which are exact."""
        loss = self.objective.losses.get(self.val_loss)
        if self.val_loss.upper() in self.standard and (loss is None or waveform.is_plain(loss)):
            return values[self.val_loss.upper()]
        if self.val_loss not in self.val_metrics:
            return terms[self.val_loss]
        turned = getattr(self.val_metrics[self.val_loss], "higher_is_better", None)
        return -values[self.val_loss] if turned else values[self.val_loss]

    def _log_train_means(self) -> None:
        if self._train_sums is None or not self._train_batches:
            return
        device, exact = self._train_sums.device, exact_dtype(self._train_sums.device)
        batches = torch.tensor([self._train_batches], dtype=exact, device=device)
        sums = self._summed(torch.cat((self._train_sums.to(exact), batches)))
        means = (sums[:-1] / sums[-1]).tolist()
        names = ("train_loss", *(f"train_{name}" for name in self.objective.active))
        lr = self._lr
        self._train_sums.zero_()
        self._train_batches, self._lr = 0, None
        if not math.isfinite(means[0]) and not all(torch.isfinite(p).all() for p in self.net.parameters()):
            raise DivergedError(
                f"expected finite weights, but the run diverged in epoch {self.current_epoch + 1} "
                f"(training loss {means[0]}); a lower learning rate or trainer.gradient_clip_val may help"
            )
        logged = dict(zip(names, means, strict=True))
        if lr is not None:
            logged["lr"] = lr
        self.log_dict({name: torch.tensor(value, dtype=torch.float32) for name, value in logged.items()})

    def _step_missed_plateau(self) -> None:
        """Step plateau schedules at the end of an epoch that was begun in the run that is resumed.

        Lightning leaves this step out, because it does not keep metrics in checkpoints; we do.
        """
        if not self.trainer.fit_loop.restarting:
            return
        for config in self.trainer.lr_scheduler_configs:
            due = (self.current_epoch + 1) % config.frequency == 0
            if isinstance(config.scheduler, ReduceLROnPlateau) and config.interval == "epoch" and due:
                value = self.trainer.callback_metrics.get(config.monitor or "")
                if value is not None:
                    config.scheduler.step(value)

    def fresh_rows(self, batch_idx: int, rows: int) -> int:
        """How many rows of a validation batch count.

        The last ones may be items that the sampler repeats to give every process equally many.
        """
        sampler = None if self._trainer is None else getattr(self.trainer.val_dataloaders, "batches", None)
        if sampler is None or self.trainer.world_size == 1:
            return rows
        first = batch_idx * sampler.batch_size
        order = ((first + row) * self.trainer.world_size + self.global_rank for row in range(rows))
        return sum(position < sampler.items for position in order)

    def _summed(self, values: Tensor) -> Tensor:
        """Sum over all processes."""
        if self.trainer.world_size == 1:
            return values
        return cast(Tensor, self.trainer.strategy.reduce(values, reduce_op="sum"))
