"""Enhancement: noisy audio is made clean; batches are named signals with lengths.

In validation each example is played alone and without padding, so that what is measured does not depend on
how examples meet in batches, and what is random is drawn from the same seed each time.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from nam_like.config.base import Config, PositiveInt
from nam_like.data.base import AbstractDataset
from nam_like.data.concat import ConcatDataset
from nam_like.data.segments import mix_seed
from nam_like.metrics.base import AnyMetric
from nam_like.models.enhancement.enhancer import Enhancer
from nam_like.train.lightning_module import LightningModule

if TYPE_CHECKING:
    from nam_like.train.exporting import Ready
    from nam_like.train.finish import HandedOn
    from nam_like.train.fit import Fitted
    from nam_like.train.prepare import Job
    from nam_like.train.run_folder import RunFolder

__all__ = ["Enhancement", "EnhancementConfig", "SpeechBatch"]

#: ``input_signal (B, C, T)``, ``input_length (B,)``, ``target_signal (B, M, T)``, ``target_length (B,)`` …
SpeechBatch = Mapping[str, Tensor]


class Enhancement(LightningModule):
    """Trains an :class:`~nam_like.models.enhancement.enhancer.Enhancer`.

    Metrics are measured over all validation examples, and where the validation has several datasets for each
    of them: ``val_sisdr``, and ``val_sisdr/<dataset>``.

    Args:
        max_metric_examples: metrics are measured on the first examples of the validation only, for nets whose
            answer takes many steps; None for all.
        seed: of what is random in validations.
        kwargs: see :class:`LightningModule`.
    """

    def __init__(
        self, *args: Any, max_metric_examples: int | None = None, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.max_metric_examples = max_metric_examples
        self.seed = seed
        #: dataset → metric → the metric of that dataset alone
        self.dataset_metrics = nn.ModuleDict()
        self._names: list[str] = []

    @property
    def enhancer(self) -> Enhancer:
        """The net."""
        return cast(Enhancer, self.net)

    def standard_metrics(self) -> dict[str, AnyMetric]:
        """None: what is measured is what the model JSON asks for."""
        return {}

    def losses(self, batch: SpeechBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """See :class:`LightningModule`."""
        views = self.enhancer.views(
            batch["input_signal"], batch["input_length"], self.target_of(batch), self.objective.domains
        )
        return self.objective.of_views(views)

    def target_of(self, signals: Mapping[str, Tensor]) -> Tensor:
        """The target of a batch or an example; its input, where it has none and the net needs none."""
        alone = "target_signal" not in signals and not self.enhancer.needs_target
        return signals["input_signal" if alone else "target_signal"]

    def measure(self, batch: SpeechBatch, batch_idx: int) -> None:
        """Play each example alone."""
        rows = self.fresh_rows(batch_idx, len(batch["input_length"]))
        if self._trainer is not None and self.trainer.sanity_checking:
            rows = min(rows, 1)
        for row, index in zip(range(rows), self._indices(batch_idx, rows), strict=True):
            length = int(batch["input_length"][row])
            with torch.random.fork_rng(devices=_devices(self.device)):
                torch.manual_seed(mix_seed(self.seed, index))
                self._measure_example(
                    batch["input_signal"][row : row + 1, :, :length],
                    self.target_of(batch)[row : row + 1, :, :length],
                    index,
                )

    def _measure_example(self, noisy: Tensor, target: Tensor, index: int) -> None:
        """Add one example, ``(1, C, T)`` and ``(1, M, T)``."""
        lengths = torch.tensor([noisy.shape[-1]], device=noisy.device)
        measured = self.max_metric_examples is None or index < self.max_metric_examples
        measured = measured and len(self.val_metrics) > 0
        answers = self.enhancer.answers_in_views
        domains = (*self.objective.domains, *(("time",) if measured and answers else ()))
        views = self.enhancer.views(noisy, lengths, target, domains)
        total, values = self.objective.of_views(views, every_term=True)
        self.add_to_validation(total, values, 1.0)
        if not measured:
            return
        estimate = views["time"][0] if answers else self.enhancer.validation_answer(noisy, lengths)
        for metric in self._metrics_of(index):
            metric.update(estimate[0].float(), target[0].float())

    def rehearse(self, job: Job) -> None:
        """See :class:`LightningModule`."""
        from nam_like.train.rehearsal import rehearse_enhancement

        rehearse_enhancement(job, self)

    def ready_to_export(self, job: Job, training: dict[str, Any]) -> Ready:
        """See :class:`LightningModule`."""
        from nam_like.train.speech_results import ready_enhancer

        return ready_enhancer(job, self.enhancer, training)

    def show_results(self, job: Job, result: HandedOn, fitted: Fitted, folder: RunFolder, show: bool) -> None:
        """See :class:`LightningModule`."""
        from nam_like.train.speech_results import show_speech_results

        show_speech_results(job, self, result, fitted, folder, show=show)

    def metrics(self) -> dict[str, AnyMetric]:
        """The metrics, and those of each dataset where there are several."""
        found = super().metrics()
        for dataset, metrics in self.dataset_metrics.items():
            for name, metric in cast(nn.ModuleDict, metrics).items():
                found[f"{name}/{dataset}"] = cast(AnyMetric, metric)
        return found

    def on_validation_epoch_start(self) -> None:
        """Make the metrics of the datasets, where there are several."""
        dataset = getattr(self.trainer.val_dataloaders, "dataset", None)
        self._names = dataset_names(dataset) if isinstance(dataset, ConcatDataset) else []
        if len(self._names) > 1 and not self.dataset_metrics:
            for name in self._names:
                # In training mode, as the trainer leaves everything else that it finds at the start.
                self.dataset_metrics[name] = copy.deepcopy(self.val_metrics).train()
        super().on_validation_epoch_start()

    def _metrics_of(self, index: int) -> Iterator[AnyMetric]:
        """The metrics that example `index` counts for."""
        yield from super().metrics().values()
        if len(self._names) > 1:
            dataset = cast(ConcatDataset, cast(Any, self.trainer.val_dataloaders).dataset)
            own = self.dataset_metrics[self._names[dataset.locate(index)[0]]]
            yield from cast("dict[str, AnyMetric]", dict(cast(nn.ModuleDict, own).items())).values()

    def _indices(self, batch_idx: int, rows: int) -> list[int]:
        """The examples of the dataset that the rows of a validation batch are."""
        sampler = None if self._trainer is None else getattr(self.trainer.val_dataloaders, "batches", None)
        if sampler is None:
            return [batch_idx * rows + row for row in range(rows)]
        processes = self.trainer.world_size
        mine = sampler.order(sampler.epoch, processes)[self.global_rank :: processes]
        begin = batch_idx * sampler.batch_size
        return list(mine[begin : begin + rows])


def dataset_names(dataset: ConcatDataset) -> list[str]:
    """A short name for each member of a list of datasets, no two alike."""
    names: list[str] = []
    for number, member in enumerate(dataset.datasets):
        name = _own_name(member) or f"{number}"
        names.append(f"{name}_{number}" if name in names else name)
    return names


def _own_name(dataset: AbstractDataset) -> str:
    """What a dataset calls itself, without what a module's name may not hold."""
    return str(getattr(dataset, "name", "")).replace(".", "_").replace("/", "_")


def _devices(device: torch.device) -> list[torch.device]:
    """The devices besides the CPU whose random state a validation must leave alone."""
    return [device] if device.type == "cuda" else []


class EnhancementConfig(Config):
    """Config of :class:`Enhancement`."""

    max_metric_examples: PositiveInt | None = Field(
        None,
        description="metrics are measured on so many examples of the validation only; null measures all",
    )

    def build(self, *args: Any, **context: Any) -> Enhancement:
        """Make the task of a net; `args` and `context` are those of the base class."""
        return Enhancement(*args, max_metric_examples=self.max_metric_examples, **context)
