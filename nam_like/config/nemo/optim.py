"""``optim:`` and its ``sched:`` → the optimizer and the learning-rate schedule of model.json."""

from __future__ import annotations

from nam_like.config.nemo.draft import Draft
from nam_like.config.nemo.section import Section
from nam_like.registry import did_you_mean

__all__ = ["OPTIMIZERS", "SCHEDULERS", "draft_optimizer"]

#: NeMo's names → ours
OPTIMIZERS = {
    "sgd": "SGD",
    "adam": "Adam",
    "fused_adam": "Adam",
    "adamw": "AdamW",
    "adadelta": "Adadelta",
    "adamax": "Adamax",
    "adagrad": "Adagrad",
    "rmsprop": "RMSprop",
    "rprop": "Rprop",
    "adafactor": "Adafactor",
    "adan": "Adan",
    "novograd": "NovoGrad",
}
#: names that are the same here; they step after each batch
SCHEDULERS = (
    "CosineAnnealing",
    "InverseSquareRootAnnealing",
    "NoamAnnealing",
    "PolynomialDecayAnnealing",
    "PolynomialHoldDecayAnnealing",
    "SquareAnnealing",
    "SquareRootAnnealing",
    "WarmupAnnealing",
    "WarmupHoldPolicy",
    "WarmupPolicy",
    "CosineAnnealingLR",
    "CyclicLR",
    "ExponentialLR",
    "ReduceLROnPlateau",
    "StepLR",
)
_PLATEAU = "ReduceLROnPlateau"
_LR = 1e-4


def draft_optimizer(model: Section, draft: Draft) -> None:
    """The optimizer and the schedule."""
    optim = model.section("optim")
    if optim is None and "optimizer" in draft.value:
        return
    if optim is None:
        draft.put(("optimizer",), {"name": "Adam", "config": {"lr": _LR}}, note="not in the YAML file")
        model.findings.filled.append("model.optim")
        return
    name = str(optim.take("name", str, "adam"))
    if name.lower() not in OPTIMIZERS:
        optim.refuse(
            "name",
            f"expected one of {', '.join(OPTIMIZERS)}, but got '{name}'"
            + did_you_mean(name, list(OPTIMIZERS)),
        )
    if "lr" not in optim:
        optim.refuse("lr", "expected a learning rate, but got none")
    schedule = optim.section("sched")
    config = {key: optim.raw(key) for key in optim.remaining()}
    draft.put(("optimizer",), {"name": OPTIMIZERS.get(name.lower(), "Adam"), "config": {}}, optim.path)
    draft.put(("optimizer", "config"), config, optim.path)
    draft.quiet.add(("optimizer", "config"))
    if schedule is not None:
        _put_schedule(schedule, draft)


def _put_schedule(schedule: Section, draft: Draft) -> None:
    name = schedule.take("name", str)
    if name not in SCHEDULERS:
        hint = did_you_mean(str(name), SCHEDULERS)
        got = "none" if name is None else f"'{name}'"
        schedule.refuse("name", f"expected one of {', '.join(SCHEDULERS)}, but got {got}{hint}")
        return
    schedule.leave_out(
        "last_epoch",
        "iters_per_batch",
        "t_max_epochs",
        "t_accumulate_grad_batches",
        "t_limit_train_batches",
        "t_num_workers",
        why="the run knows it",
    )
    monitor = schedule.raw("monitor")
    interval = schedule.take("interval", str, "epoch" if name == _PLATEAU else "step")
    schedule.leave_out("reduce_on_plateau")
    config = {key: schedule.raw(key) for key in schedule.remaining()}
    config = {key: item for key, item in config.items() if item is not None}
    if config.get("max_steps") == -1:  # the run's
        del config["max_steps"]
    draft.put(("lr_scheduler",), {"name": name, "config": {}, "interval": interval}, schedule.path)
    draft.put(("lr_scheduler", "config"), config, schedule.path)
    draft.quiet.add(("lr_scheduler", "config"))
    if monitor is not None and name == _PLATEAU:
        draft.put(("lr_scheduler", "monitor"), monitor, schedule.at("monitor"))
