"""Find the checkpoint that a run is to continue from, and make sure that it fits."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nam_like.train.checkpoints import RECORD, CheckpointError, load_checkpoint
from nam_like.train.lightning_module import LightningModule
from nam_like.train.run_folder import latest_run

__all__ = ["check_resumable", "find_checkpoint"]

log = logging.getLogger(__name__)

WORDS = ("last", "best")


def find_checkpoint(resume: str, outdir: Path) -> Path:
    """Find a checkpoint.

    Args:
        resume: ``"last"`` or ``"best"`` of the newest run in `outdir` that has one; the folder of a run
            (its last); or a checkpoint file.
        outdir: where the runs are.

    Raises:
        CheckpointError: there is none; the message says where it was looked for.
    """
    if resume in WORDS:
        for run in _runs(outdir):
            candidate = run / "checkpoints" / f"{resume}.ckpt"
            if candidate.is_file():
                return candidate
        raise CheckpointError(
            f"expected a run with checkpoints/{resume}.ckpt in '{outdir}', but there is none"
        )
    path = Path(resume).expanduser()
    if path.is_file():
        return path.resolve()
    for inside in ("checkpoints/last.ckpt", "last.ckpt"):
        if (path / inside).is_file():
            return (path / inside).resolve()
    if path.is_dir() and latest_run(path) is not None:
        return find_checkpoint("last", path)
    raise CheckpointError(
        f"expected --resume to be last, best, a run folder or a checkpoint, "
        f"but there is no checkpoint at '{resume}'"
    )


def _runs(outdir: Path) -> Iterator[Path]:
    """The runs in a folder, the one that ``latest`` points to first, then the newest."""
    latest = latest_run(outdir)
    if latest is not None:
        yield latest
    if outdir.is_dir():
        folders = (path for path in outdir.iterdir() if path.is_dir() and not path.is_symlink())
        yield from sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)


def check_resumable(path: Path, task: LightningModule, configs: Mapping[str, Any]) -> None:
    """Make sure that a run of `task` can go on from a checkpoint.

    What is configured differently now than then is logged: the run goes on with the present configuration.
    Only the optimizer and its schedule cannot change, because their state, the learning rate included, is
    the checkpoint's.

    Raises:
        CheckpointError: it is of another net, optimizer or schedule, or holds weights only.
    """
    checkpoint = load_checkpoint(path)
    missing = [key for key in ("loops", "optimizer_states", "lr_schedulers") if key not in checkpoint]
    if missing:
        raise CheckpointError(
            f"expected '{path}' to hold the state of a run, but it has no {', '.join(missing)}; "
            "`checkpoint_path` in model.json starts a new run from its weights"
        )
    ours, theirs = task.state_dict(), checkpoint["state_dict"]
    different = sorted(set(ours) ^ set(theirs)) + [
        name for name in sorted(set(ours) & set(theirs)) if ours[name].shape != theirs[name].shape
    ]
    if different:
        raise CheckpointError(
            f"expected '{path}' to be of the net of model.json, but {len(different)} weights differ in name "
            f"or shape, '{different[0]}' among them"
        )
    before = checkpoint.get(RECORD, {}).get("configs", {})
    changes = list(_changes(before, dict(configs)))
    fixed = [change for change in changes if change.startswith(("model.optimizer", "model.lr_scheduler"))]
    if fixed:
        raise CheckpointError(
            f"expected the optimizer and lr_scheduler of the run that '{path}' belongs to, but {fixed[0]}; "
            "`checkpoint_path` in model.json starts a new run from its weights, with a new optimizer"
        )
    for change in changes:
        log.warning("resuming with another configuration: %s", change)


def _changes(before: Any, now: Any, where: str = "") -> Iterator[str]:
    """What differs between two JSON values, by dotted path."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}, key=str):
            path = f"{where}.{key}" if where else str(key)
            if before and key not in before:
                yield f"{path} is new"
            elif key not in now:
                yield f"{path} is gone"
            elif before:
                yield from _changes(before[key], now[key], path)
    elif _listed(before) != _listed(now):
        yield f"{where} is {now!r}, was {before!r}"


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
