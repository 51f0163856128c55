"""``trainer:``, ``exp_manager:``, ``init_from_…`` and what loaders are told → learning.json."""

from __future__ import annotations

from typing import Any

from nam_like.config.base import describe
from nam_like.config.errors import dotted
from nam_like.config.init_from import INIT_KEYS
from nam_like.config.nemo.data import Loading
from nam_like.config.nemo.draft import Draft
from nam_like.config.nemo.section import Section

__all__ = ["draft_learning"]

#: for files that have no trainer
_TRAINER = {"accelerator": "auto", "devices": 1, "max_epochs": 50, "num_sanity_val_steps": 0}
#: batches that make an epoch of data without end, where the file does not say
_EPOCH = 1000
_KEPT_BY_RUN = ("enable_checkpointing", "logger", "enable_model_summary", "default_root_dir", "plugins")
#: what says where NeMo writes, and what it writes with
_BOOKKEEPING = (
    "exp_dir",
    "explicit_log_dir",
    "name",
    "version",
    "use_datetime_version",
    "create_tensorboard_logger",
    "summary_writer_kwargs",
    "wandb_logger_kwargs",
    "mlflow_logger_kwargs",
    "clearml_logger_kwargs",
    "dllogger_logger_kwargs",
    "neptune_logger_kwargs",
    "files_to_copy",
    "log_step_timing",
    "step_timing_kwargs",
    "log_local_rank_0_only",
    "log_global_rank_0_only",
    "disable_validation_on_resume",
    "model_parallel_size",
    "create_preemption_callback",
    "create_straggler_detection_callback",
    "straggler_detection_params",
    "create_fault_tolerance_callback",
    "fault_tolerance",
    "create_ipl_epoch_stopper_callback",
    "seconds_to_sleep",
    "max_time_per_run",
    "resume_if_exists",
    "resume_past_end",
    "resume_ignore_no_checkpoint",
    "create_early_stopping_callback",
    "create_checkpoint_callback",
)
_LOGGERS = {"create_wandb_logger": "wandb", "create_mlflow_logger": "mlflow"}
_OTHER_LOGGERS = ("create_clearml_logger", "create_dllogger_logger", "create_neptune_logger")
_CHECKPOINTS = (
    "dirpath",
    "filename",
    "verbose",
    "save_last",
    "save_weights_only",
    "auto_insert_metric_name",
    "every_n_epochs",
    "every_n_train_steps",
    "train_time_interval",
    "prefix",
    "postfix",
    "save_best_model",
    "always_save_nemo",
    "save_nemo_on_train_end",
    "model_parallel_size",
    "save_on_train_epoch_end",
    "async_save",
    "save_last_n_optim_states",
)


def draft_learning(
    top: Section, model: Section | None, train: Loading | None, validation: Loading | None, model_draft: Draft
) -> Draft:
    """learning.json; what decides which checkpoint is best goes to the loss in `model_draft`."""
    draft = Draft("learning")
    for key, loading in (("train_dataloader", train), ("val_dataloader", validation)):
        if loading is not None and loading.loader:
            draft.put((key,), loading.loader, loading.path)
    _trainer(top, draft, streamed=train is not None and train.streamed)
    if model is not None:
        skip = model.raw("skip_nan_grad")
        if skip is not None:
            draft.put(("skip_nan_grad",), skip, model.at("skip_nan_grad"))
    manager = top.section("exp_manager")
    if manager is not None:
        _manager(manager, draft, model_draft)
    _start(top, draft)
    return draft


def _trainer(top: Section, draft: Draft, *, streamed: bool) -> None:
    trainer = top.section("trainer")
    if trainer is None:
        draft.put(("trainer",), dict(_TRAINER), note="not in the YAML file")
        top.findings.filled.append("trainer")
    else:
        draft.put(("trainer",), {}, trainer.path)
        for key in trainer.remaining():
            if key in _KEPT_BY_RUN:
                trainer.leave_out(key, why="the run's own")
                continue
            value = trainer.raw(key)
            note = ""
            if key == "callbacks" and value:
                trainer.refuse(key, f"expected callbacks in `exp_manager`, but got {describe(value)}")
                continue
            if key == "devices" and value == -1:
                value, note = "auto", "was -1"  # -1 is refused where there is no accelerator
            elif key == "strategy" and value == "ddp":
                value, note = "auto", "was ddp, which auto takes where there are several devices"
            if value is not None:
                draft.put(("trainer", key), value, trainer.at(key), note)
    limit = draft.at(("trainer", "limit_train_batches"))
    steps = draft.at(("trainer", "max_steps")) not in (None, -1)
    every = draft.at(("trainer", "val_check_interval"))
    if streamed and not isinstance(limit, int) and not (steps and isinstance(every, int)):
        draft.put(
            ("trainer", "limit_train_batches"), _EPOCH, note="an epoch of data without end; our default"
        )
        top.findings.filled.append("trainer.limit_train_batches: the training data have no end")


def _manager(manager: Section, draft: Draft, model_draft: Draft) -> None:
    stops = manager.take("create_early_stopping_callback", bool, False)
    keeps = manager.take("create_checkpoint_callback", bool, True)
    _average(manager, draft)
    checkpoints = manager.section("checkpoint_callback_params")
    if checkpoints is not None and keeps:
        _checkpoints(checkpoints, draft, model_draft)
    stopping = manager.section("early_stopping_callback_params")
    if stops:
        given = {} if stopping is None else {key: stopping.raw(key) for key in stopping.remaining()}
        config = {"monitor": "val_loss", **given}
        draft.put(("callbacks",), [{"name": "EarlyStopping", "config": config}])
        path = manager.at("early_stopping_callback_params")
        draft.origins[("callbacks", 0)] = path
        draft.origins[("callbacks", 0, "config")] = path
        draft.quiet.add(("callbacks", 0, "config"))
    for key, name in _LOGGERS.items():
        if manager.take(key, bool, False):
            draft.put(("loggers",), [*(draft.at(("loggers",)) or []), {"name": name}], manager.at(key))
    for key in _OTHER_LOGGERS:
        if manager.take(key, bool, False):
            manager.refuse(
                key, "expected one of the loggers csv, tensorboard, wandb and mlflow, but got true"
            )
    resume = manager.raw("resume_from_checkpoint")
    if resume is not None:
        draft.put(("trainer_fit_kwargs", "ckpt_path"), resume, manager.at("resume_from_checkpoint"))
    manager.leave_out(*_BOOKKEEPING)
    manager.close()


def _average(manager: Section, draft: Draft) -> None:
    average = manager.section("ema")
    if average is None:
        return
    enabled = average.take("enable", bool, False)
    decay = average.raw("decay")
    every = average.take("every_n_steps", int, 1)
    if enabled and every != 1:
        average.refuse("every_n_steps", f"expected 1, for every step counts here, but got {every}")
    if enabled and average.take("validate_original_weights", bool, False):
        average.refuse(
            "validate_original_weights", "expected false, for the average is what is validated, but got true"
        )
    average.leave_out("cpu_offload", "validate_original_weights", "start_step", "apply_ema_every_n_steps")
    average.close()
    if enabled:
        draft.put(("ema",), {}, average.path, "begins with a short average, unlike NeMo's")
        draft.put(("ema", "decay"), 0.999 if decay is None else decay, average.at("decay"))


def _checkpoints(checkpoints: Section, draft: Draft, model_draft: Draft) -> None:
    keep = checkpoints.raw("save_top_k")
    if isinstance(keep, int) and keep < 1:
        checkpoints.findings.left_out.append(f"{dotted(checkpoints.at('save_top_k'))}: some are always kept")
    elif keep is not None:
        draft.put(("top_k",), keep, checkpoints.at("save_top_k"))
    monitor = checkpoints.take("monitor", str, "val_loss")
    checkpoints.take("mode", str)  # each metric knows it
    labels = [f"val_{label}" for label in model_draft.at(("metrics", "val")) or {}]
    if monitor in labels:
        model_draft.put(("loss", "val_loss"), monitor, checkpoints.at("monitor"))
    elif monitor != "val_loss":
        known = ", ".join(["val_loss", *labels])
        checkpoints.refuse("monitor", f"expected a value that is logged ({known}), but got '{monitor}'")
    checkpoints.leave_out(*_CHECKPOINTS)
    checkpoints.close()


def _start(top: Section, draft: Draft) -> None:
    for key in INIT_KEYS:
        value: Any = top.raw(key)
        if value is not None:
            draft.put((key,), value, top.at(key))
    top.leave_out("init_strict", why="weights are always matched by name")
