"""Runs on a SLURM cluster: the script that queues a run, and queues it again when its time was not enough.

A while before the time is up, SLURM sends the script USR1. It passes SIGTERM on to the processes of the run,
which save ``last.ckpt`` and end (:mod:`nam_like.train.callbacks.stop`), and puts the job back into the queue.
When the job starts again, it resumes from the newest checkpoint that it has written. Imports no PyTorch.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nam_like.errors import UserError
from nam_like.files import write_text_atomic

__all__ = [
    "SlurmJob",
    "SubmitError",
    "device_overrides",
    "find_sbatch",
    "sbatch_script",
    "submit",
    "write_script",
]

_TIME = re.compile(r"\d+|\d+:\d\d|\d+:\d\d:\d\d|\d+-\d+(:\d\d){0,2}")
_WORD = re.compile(r"[^\s\x00-\x1f]+")
#: Job names under which Lightning takes a job for an interactive one, and starts processes by itself.
_INTERACTIVE = ("bash", "interactive")


class SubmitError(RuntimeError):
    """SLURM did not take the job."""


@dataclass(frozen=True)
class SlurmJob:
    """What is asked of SLURM, and what is to run.

    Attributes:
        name: of the job.
        outdir: folder of the runs; the script and the job's log go into ``slurm`` inside it.
        command: what each process runs, without ``--resume``.
        workdir: where it runs.
        nodes: machines.
        gpus_per_node: GPUs on each, with a process for every one; 0 for one process per machine on its CPU.
        cpus_per_task: cores of each process.
        time: as SLURM spells it, such as ``12:00:00`` or ``2-00:00:00``; None for the partition's limit.
        partition: of the cluster; None for its default.
        account: that is charged; None for the user's default.
        grace: seconds before the time is up at which the run is told to stop.
        requeue: whether a job whose time was not enough goes back into the queue.
        resume: what the first start resumes from: ``last``, ``best``, a run folder or a checkpoint; None for
            nothing.
        options: further options of sbatch, such as ``--constraint=a100``.
        setup: lines of shell before the run, such as ``module load cuda``.

    Raises:
        UserError: a value that SLURM would not understand.
    """

    name: str
    outdir: Path
    command: Sequence[str]
    workdir: Path
    nodes: int = 1
    gpus_per_node: int = 1
    cpus_per_task: int = 1
    time: str | None = None
    partition: str | None = None
    account: str | None = None
    grace: int = 120
    requeue: bool = True
    resume: str | None = None
    options: Sequence[str] = field(default_factory=tuple)
    setup: Sequence[str] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        for name, least in (("nodes", 1), ("gpus_per_node", 0), ("cpus_per_task", 1), ("grace", 1)):
            if getattr(self, name) < least:
                option = "--" + name.replace("_", "-")
                raise UserError(f"expected `{option}` to be at least {least}, but got {getattr(self, name)}")
        if self.time is not None and not _TIME.fullmatch(self.time):
            raise UserError(
                "expected `--time` as minutes, minutes:seconds, hours:minutes:seconds or days-hours…, "
                f"but got '{self.time}'"
            )
        for name in ("name", "partition", "account"):
            value = getattr(self, name)
            if value is not None and not _WORD.fullmatch(value):
                raise UserError(f"expected `--{name}` to be a word without spaces, but got '{value}'")
        if self.name in _INTERACTIVE:
            raise UserError(f"expected another `--name` than '{self.name}', which means an interactive job")
        for option in self.options:
            if not option.startswith("-") or "\n" in option:
                raise UserError(
                    f"expected `--sbatch` to hold an option that begins with -, but got '{option}'"
                )

    @property
    def tasks_per_node(self) -> int:
        """Processes on each machine."""
        return max(self.gpus_per_node, 1)

    @property
    def folder(self) -> Path:
        """Where script and logs go."""
        return self.outdir / "slurm"

    @property
    def script(self) -> Path:
        """The script's path."""
        return self.folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', self.name)}.sbatch"


def device_overrides(trainer: Mapping[str, Any], nodes: int, gpus_per_node: int) -> list[str]:
    """The ``--set`` arguments with which a run uses what SLURM gives it.

    Args:
        trainer: the ``trainer`` of the learning JSON; a strategy that it names is kept.
        nodes: machines.
        gpus_per_node: GPUs on each; 0 for the CPU.
    """
    tasks = max(gpus_per_node, 1)
    overrides = [
        f"learning.trainer.accelerator={'gpu' if gpus_per_node else 'cpu'}",
        f"learning.trainer.devices={tasks}",
        f"learning.trainer.num_nodes={nodes}",
    ]
    if nodes * tasks > 1 and trainer.get("strategy") in (None, "auto"):
        overrides.append("learning.trainer.strategy=ddp")
    return overrides


def sbatch_script(job: SlurmJob) -> str:
    """The script, to be read as well as run."""
    return "\n".join([*_header(job), "", *_start(job), "", *_run(job), *_end(job)]) + "\n"


def write_script(job: SlurmJob) -> Path:
    """Write the script into the job's folder.

    Raises:
        UserError: it cannot be written.
    """
    try:
        write_text_atomic(job.script, sbatch_script(job))
    except OSError as error:
        raise UserError(f"{job.script}: cannot be written: {error.strerror or error}") from error
    return job.script


def find_sbatch() -> str:
    """The path of SLURM's ``sbatch``.

    Raises:
        UserError: there is none on this machine.
    """
    found = shutil.which("sbatch")
    if found is None:
        raise UserError(
            "expected SLURM's command `sbatch` for --submit, but there is none on the PATH; run this on a "
            "login node of the cluster, or without --submit to write the script only"
        )
    return found


def submit(script: Path) -> str:
    """Queue a script and return the job's number.

    Raises:
        UserError: there is no ``sbatch``.
        SubmitError: SLURM refuses the job; the message is SLURM's.
    """
    done = subprocess.run(  # noqa: S603 - the program that --submit asks for
        [find_sbatch(), "--parsable", str(script)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        raise SubmitError(f"sbatch refused {script}: {said}")
    return done.stdout.strip().split(";")[0]


def _header(job: SlurmJob) -> list[str]:
    """What SLURM reads."""
    options = [
        f"--job-name={job.name}",
        f"--nodes={job.nodes}",
        f"--ntasks-per-node={job.tasks_per_node}",
        f"--cpus-per-task={job.cpus_per_task}",
    ]
    if job.gpus_per_node:
        options.append(f"--gpus-per-node={job.gpus_per_node}")
    wishes = {"time": job.time, "partition": job.partition, "account": job.account}
    options += [f"--{name}={value}" for name, value in wishes.items() if value is not None]
    options += [
        f"--output={_quoted(job.folder / '%x_%j.log')}",
        "--open-mode=append",
        "--requeue" if job.requeue else "--no-requeue",
    ]
    if job.requeue:
        options.append(f"--signal=B:USR1@{job.grace}")
    return ["#!/bin/bash", *(f"#SBATCH {option}" for option in (*options, *job.options))]


def _quoted(path: Path) -> str:
    """As SLURM reads it in a header: in double quotes where there are spaces."""
    return f'"{path}"' if " " in str(path) else str(path)


def _start(job: SlurmJob) -> list[str]:
    """Where the job runs, and what it resumes from."""
    resume = "()" if job.resume is None else f"(--resume {shlex.quote(job.resume)})"
    return [
        f"cd {shlex.quote(str(job.workdir))} || exit 1",
        f"outdir={shlex.quote(str(job.outdir))}",
        *job.setup,
        "",
        "# The first start leaves a mark; a later one resumes from the newest checkpoint that is younger.",
        f"resume={resume}",
        'mark="$outdir/slurm/$SLURM_JOB_ID.started"',
        'if [ -e "$mark" ]; then',
        '    last=$(find "$outdir" -path "*/checkpoints/last.ckpt" -newer "$mark" -printf "%T@ %p\\n" \\',
        '        | sort -n | tail -n 1 | cut -d " " -f 2-)',
        '    if [ -n "$last" ]; then resume=(--resume "$last"); fi',
        "else",
        '    touch "$mark"',
        "fi",
    ]


def _run(job: SlurmJob) -> list[str]:
    """The processes of the run."""
    words = [shlex.quote(word) for word in job.command]
    lines: list[str] = []
    for word in words:  # an option begins a line of its own
        if word.startswith("--") or not lines:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    command = " \\\n    ".join([*lines, '"${resume[@]}" &'])
    return [
        *(_TRAP if job.requeue else []),
        # SLURM hands its own option to the processes no more since version 22.05.
        f"srun --cpus-per-task={job.cpus_per_task} --kill-on-bad-exit=1 {command}",
        "run=$!",
    ]


_TRAP = [
    "# Shortly before the time is up, SLURM sends USR1. The processes are told to save and end, and the job",
    "# goes back into the queue.",
    "again=no",
    "stop() {",
    "    again=yes",
    '    echo "the time is nearly up: the run is told to stop, and is queued again"',
    '    scancel --signal=TERM "$SLURM_JOB_ID"',
    "}",
    "trap stop USR1",
    "",
]


def _end(job: SlurmJob) -> list[str]:
    """How the job ends: as the run does, or back in the queue."""
    if not job.requeue:
        return ['wait "$run"']
    return [
        'wait "$run"',
        "status=$?",
        "# A signal ends `wait`, not the run.",
        'while kill -0 "$run" 2>/dev/null; do',
        '    wait "$run"',
        "    status=$?",
        "done",
        'if [ "$again" = yes ] && [ "$status" -ne 0 ]; then',
        '    scontrol requeue "$SLURM_JOB_ID"',
        "fi",
        'exit "$status"',
    ]
