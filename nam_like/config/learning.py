"""``learning.json``: loaders, trainer, callbacks, loggers, seed, and what is exported."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, cast

from pydantic import Field, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

from nam_like.config.base import Bool, Config, Int, PositiveFloat, PositiveInt, Str, describe
from nam_like.config.component import Component, Members, Of, Several
from nam_like.config.curriculum import StageConfig, check_order
from nam_like.config.ema import EmaConfig
from nam_like.config.init_from import InitNames, InitPaths, canonical_start, check_one_start
from nam_like.config.lines import Loc, refusal
from nam_like.config.signature import Arguments, given
from nam_like.lightning import import_lightning
from nam_like.registry import did_you_mean

__all__ = ["DEFAULT_EXPORTS", "LearningConfig", "TrainerConfig"]

#: what is exported when the file does not say, as far as the net allows
DEFAULT_EXPORTS = ("nam", "torchscript")
_GRADIENT_CLIPS = ("norm", "value")
#: names that every Lightning knows, so that most files need not ask it
_ALWAYS = {"accelerator": ("auto", "cpu", "gpu", "cuda", "mps"), "strategy": ("auto", "ddp")}
_PROFILERS = ("simple", "advanced", "pytorch", "xla")


def _probe_loader(arguments: dict[str, Any]) -> None:
    """Let the loader itself judge which of its arguments go together."""
    from torch.utils.data import DataLoader

    items: Any = [0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on worker counts, given again where the loader is used
        DataLoader(items, **arguments)


_LOADER = Arguments(
    "torch.utils.data:DataLoader",
    supplied=frozenset(
        {
            "dataset",
            "sampler",
            "batch_sampler",
            "collate_fn",
            "worker_init_fn",
            "generator",
            "pin_memory_device",
        }
    ),
    bounds=(
        ("batch_size", (">=", 1)),
        ("num_workers", (">=", 0)),
        ("timeout", (">=", 0)),
        ("prefetch_factor", (">=", 1)),
    ),
    probe=_probe_loader,
)


class TrainerConfig(Config):
    """Arguments of Lightning's Trainer that mean more than their annotation says; the others are derived."""

    callbacks: Annotated[Members | None, Several(Of("callback", flat=True))] = Field(
        None, description="as `callbacks` beside `trainer`"
    )
    logger: Annotated[Members | bool | None, Several(Of("logger", flat=True), or_bool=True)] = Field(
        None, description="as `loggers` beside `trainer`; false switches the standard loggers off"
    )

    @field_validator("accelerator", "strategy", "gradient_clip_algorithm", "profiler", check_fields=False)
    @classmethod
    def _name_exists(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None or value in _ALWAYS.get(str(info.field_name), ()):
            return value
        known = _choices(str(info.field_name))
        if isinstance(value, str) and value not in known:
            names = ", ".join(sorted(known))
            raise refusal(
                f"expected one of {names}, but got '{value}'{did_you_mean(value, known)}", (), value
            )
        return value

    @field_validator("devices", check_fields=False)
    @classmethod
    def _some_devices(cls, value: Any) -> Any:
        if value in (0, []) or (isinstance(value, int) and value < -1):
            raise refusal(
                f"expected at least 1 device (or -1 for all, or 'auto'), but got {describe(value)}", (), value
            )
        return value

    @field_validator(
        "limit_train_batches",
        "limit_val_batches",
        "limit_test_batches",
        "limit_predict_batches",
        "overfit_batches",
        "val_check_interval",
        check_fields=False,
    )
    @classmethod
    def _fraction_or_count(cls, value: Any) -> Any:
        if isinstance(value, float) and value > 1.0:
            raise refusal(
                f"expected a fraction up to 1.0, or an integer number of batches, but got {value}", (), value
            )
        return value


def _choices(key: str) -> Sequence[str]:
    """The names that an argument of this Lightning's Trainer may have."""
    import_lightning()
    from pytorch_lightning.accelerators import AcceleratorRegistry
    from pytorch_lightning.strategies import StrategyRegistry

    if key == "accelerator":
        return ["auto", "gpu", *AcceleratorRegistry.available_accelerators()]
    if key == "strategy":
        return ["auto", *StrategyRegistry.available_strategies()]
    return _GRADIENT_CLIPS if key == "gradient_clip_algorithm" else _PROFILERS


_TRAINER = Arguments(
    "pytorch_lightning:Trainer",
    supplied=frozenset({"default_root_dir", "plugins", "model_registry"}),
    bounds=(
        ("num_nodes", (">=", 1)),
        ("max_epochs", (">=", -1)),
        ("min_epochs", (">=", 0)),
        ("max_steps", (">=", -1)),
        ("min_steps", (">=", 0)),
        ("limit_train_batches", (">=", 0)),
        ("limit_val_batches", (">=", 0)),
        ("limit_test_batches", (">=", 0)),
        ("limit_predict_batches", (">=", 0)),
        ("overfit_batches", (">=", 0)),
        ("val_check_interval", (">", 0)),
        ("check_val_every_n_epoch", (">=", 1)),
        ("num_sanity_val_steps", (">=", -1)),
        ("log_every_n_steps", (">=", 0)),
        ("accumulate_grad_batches", (">=", 1)),
        ("gradient_clip_val", (">=", 0)),
        ("fast_dev_run", (">=", 0)),
        ("reload_dataloaders_every_n_epochs", (">=", 0)),
    ),
    base=TrainerConfig,
)
_FIT = Arguments(
    "pytorch_lightning:Trainer.fit",
    supplied=frozenset({"model", "train_dataloaders", "val_dataloaders", "datamodule"}),
)


class LearningConfig(Config):
    """The learning JSON; every key is optional."""

    schema_url: Str | None = Field(None, alias="$schema", description="JSON Schema, for editors")
    train_dataloader: Annotated[Config, _LOADER] = Field(
        default_factory=lambda: _LOADER.validate({"batch_size": 16, "shuffle": True}),
        description="arguments of torch's DataLoader for training; batches of 16, shuffled, unless given",
    )
    val_dataloader: Annotated[Config, _LOADER] = Field(
        default_factory=lambda: _LOADER.validate({}),
        description="arguments of torch's DataLoader for validation",
    )
    trainer: Annotated[TrainerConfig, _TRAINER] = Field(
        default_factory=lambda: cast("TrainerConfig", _TRAINER.validate({})),
        description="arguments of Lightning's Trainer",
    )
    trainer_fit_kwargs: Annotated[Config, _FIT] = Field(
        default_factory=lambda: _FIT.validate({}),
        description="arguments of Trainer.fit, such as ckpt_path: continue from that checkpoint",
    )
    callbacks: list[Annotated[Component, Of("callback", flat=True)]] = Field(
        default_factory=list, description="callbacks beside the run's own"
    )
    loggers: list[Annotated[Component, Of("logger", flat=True)]] = Field(
        default_factory=list, description="loggers beside CSV and TensorBoard"
    )
    seed: Annotated[Int, Field(ge=0, lt=2**32)] = Field(0, description="of everything random in the run")
    export: list[Annotated[Component, Of("exporter")]] | None = Field(
        None, description="what is written; null takes nam and torchscript as far as the net allows"
    )
    top_k: PositiveInt = Field(3, description="how many of the best checkpoints are kept")
    threshold_esr: PositiveFloat | None = Field(
        None, description="training stops once the validation ESR is at most this"
    )

    curriculum: list[StageConfig] = Field(
        default_factory=list,
        description="other segment lengths and batch sizes in the first epochs, by stages in order",
    )
    ema: EmaConfig | None = Field(
        None, description="validate and export a moving average of the weights; null for none"
    )
    steps_per_launch: PositiveInt | None = Field(
        None,
        description="optimizer steps that are collected and done as one, on CUDA devices by one CUDA graph; "
        "null takes 8 on CUDA devices and 1, step by step, elsewhere",
    )
    tf32: Bool = Field(
        False,
        description="let training steps on CUDA devices multiply with 10 bits of mantissa where plain "
        "PyTorch plays the net; the kernels and all validations compute in float32",
    )
    skip_nan_grad: Bool = Field(
        False,
        description="set all gradients to zero where one is NaN or infinite, and count how often, instead of "
        "losing the weights to it",
    )
    batch_duration: PositiveFloat | None = Field(
        None,
        description="most seconds of audio in a batch of streamed data, as padded; null sets no limit beside "
        "train_dataloader.batch_size",
    )
    quadratic_duration: PositiveFloat | None = Field(
        None,
        description="an example of d seconds counts as d + d² / this in `batch_duration`; null counts d",
    )
    init_from_nemo_model: InitPaths = Field(
        None, description=".nemo archive whose weights training starts from, or labelled entries"
    )
    init_from_pretrained_model: InitNames = Field(
        None, description="name of a public model whose weights training starts from, or labelled entries"
    )
    init_from_ptl_ckpt: InitPaths = Field(
        None, description="Lightning checkpoint whose weights training starts from, or labelled entries"
    )

    @field_validator("curriculum")
    @classmethod
    def _stages_are_in_order(cls, stages: list[StageConfig]) -> list[StageConfig]:
        check_order(stages)
        return stages

    @model_validator(mode="after")
    def _starts_once(self) -> Self:
        check_one_start(self)
        return self

    @model_validator(mode="after")
    def _epochs_are_possible(self) -> Self:
        low, high = getattr(self.trainer, "min_epochs", None), getattr(self.trainer, "max_epochs", None)
        if low is not None and high is not None and 0 <= high < low:
            raise refusal(
                f"expected `min_epochs` to be at most max_epochs {high}, but got {low}",
                ("trainer", "min_epochs"),
            )
        return self

    @model_validator(mode="after")
    def _steps_can_be_so(self) -> Self:
        every = getattr(self.trainer, "accumulate_grad_batches", 1)
        if self.steps_per_launch not in (None, 1) and every != 1:
            raise refusal(
                f"expected `steps_per_launch` to be 1 with accumulate_grad_batches {every}, "
                f"but got {self.steps_per_launch}",
                ("steps_per_launch",),
            )
        accelerator = getattr(self.trainer, "accelerator", None)
        if self.tf32 and accelerator in ("cpu", "mps"):
            raise refusal(
                f"expected `tf32` to be false with accelerator '{accelerator}', which has none, but got true",
                ("tf32",),
            )
        return self

    def located_callbacks(self) -> Iterator[tuple[Loc, Component]]:
        """Every callback of the file with the path it stands at, those inside `trainer` too."""
        for index, callback in enumerate(self.callbacks):
            yield ("callbacks", index), callback
        inner = self.trainer.callbacks
        for index, callback in enumerate(inner or []):
            yield (
                ("trainer", "callbacks") if inner and inner.alone else ("trainer", "callbacks", index),
                callback,
            )

    def all_callbacks(self) -> list[Component]:
        """The callbacks of the file, those inside `trainer` too; the run adds its own."""
        return [callback for _, callback in self.located_callbacks()]

    def all_loggers(self) -> list[Component]:
        """The loggers of the file, those inside `trainer` too; see :attr:`standard_loggers`."""
        inner = self.trainer.logger
        return [*self.loggers, *(inner if isinstance(inner, list) else [])]

    @property
    def standard_loggers(self) -> bool:
        """Whether CSV and TensorBoard are logged to (``"logger": false`` in `trainer` switches them off)."""
        return self.trainer.logger is not False

    def trainer_arguments(self) -> dict[str, Any]:
        """The keyword arguments for Lightning's Trainer, without callbacks and loggers."""
        return {key: item for key, item in given(self.trainer).items() if key not in ("callbacks", "logger")}

    def canonical(self) -> dict[str, Any]:
        """The learning JSON in the one canonical spelling; callbacks and loggers stand beside `trainer`."""
        trainer = self.trainer_arguments()
        if isinstance(self.trainer.logger, bool):
            trainer["logger"] = self.trainer.logger
        dump: dict[str, Any] = {
            "train_dataloader": given(self.train_dataloader),
            "val_dataloader": given(self.val_dataloader),
            "trainer": trainer,
            "trainer_fit_kwargs": given(self.trainer_fit_kwargs),
            "callbacks": [callback.canonical() for callback in self.all_callbacks()],
            "loggers": [logger.canonical() for logger in self.all_loggers()],
            "seed": self.seed,
            "top_k": self.top_k,
        }
        if self.export is not None:
            dump["export"] = [exporter.canonical() for exporter in self.export]
        if self.threshold_esr is not None:
            dump["threshold_esr"] = self.threshold_esr
        if self.curriculum:
            dump["curriculum"] = [stage.model_dump(exclude_unset=True) for stage in self.curriculum]
        if self.steps_per_launch is not None:
            dump["steps_per_launch"] = self.steps_per_launch
        for key in ("tf32", "skip_nan_grad"):
            if getattr(self, key):
                dump[key] = True
        for key in ("batch_duration", "quadratic_duration"):
            if getattr(self, key) is not None:
                dump[key] = getattr(self, key)
        if self.ema is not None:
            dump["ema"] = self.ema.model_dump(exclude_unset=True)
        return dump | canonical_start(self)
