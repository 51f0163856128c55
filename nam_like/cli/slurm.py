"""Queue a training on a SLURM cluster: check the three JSONs, write the batch script, submit it if asked."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from nam_like.cli.console import DONE, FAILED

EXAMPLES = """examples:
  nam_like slurm data.json model.json learning.json out --gpus-per-node 4 --time 12:00:00
  nam_like slurm data.json model.json learning.json out --nodes 2 --gpus-per-node 8 --time 1-00:00:00 \\
      --partition gpu --account speech --setup "module load cuda" --submit
  nam_like slurm data.json model.json learning.json out --sbatch=--constraint=a100 --sbatch=--mem=64G

the script is out/slurm/<name>.sbatch, the job's log stands beside it; a job whose time was not enough goes
back into the queue by itself and resumes where it was"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", metavar="data.json", help="the recordings")
    parser.add_argument("model", metavar="model.json", help="net, loss, optimiser, learning-rate schedule")
    parser.add_argument(
        "learning", metavar="learning.json", help="loaders, trainer, callbacks, seed, exports"
    )
    parser.add_argument("outdir", help="folder for runs, which all machines must see")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="machines (default: 1)")
    parser.add_argument(
        "--gpus-per-node",
        type=int,
        default=1,
        metavar="G",
        help="GPUs on each, with a process for every one; 0: one process on the CPU (default: 1)",
    )
    parser.add_argument(
        "--cpus-per-task",
        type=int,
        metavar="C",
        help="cores of each process (default: the loader's num_workers, and one)",
    )
    parser.add_argument("--time", metavar="D-HH:MM:SS", help="limit (default: the partition's)")
    parser.add_argument("--partition", help="of the cluster (default: its own)")
    parser.add_argument("--account", help="that is charged (default: yours)")
    parser.add_argument("--name", help="of the job (default: that of outdir)")
    parser.add_argument(
        "--grace",
        type=int,
        default=120,
        metavar="SECONDS",
        help="how long before the time is up the run is told to save and stop (default: 120)",
    )
    parser.add_argument(
        "--no-requeue", action="store_true", help="do not queue the job again when its time is up"
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="last",
        metavar="last|best|PATH",
        help="let the first start resume, too",
    )
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="override one value, as nam_full does",
    )
    parser.add_argument(
        "--sbatch", action="append", default=[], metavar="OPTION", help="a further option of sbatch"
    )
    parser.add_argument(
        "--setup", action="append", default=[], metavar="LINE", help="a line of shell before the run"
    )
    parser.add_argument("--submit", action="store_true", help="submit the script with sbatch")
    parser.add_argument("--no-extensions", action="store_true", help="load no extensions")


def run(arguments: argparse.Namespace) -> int:
    """Check, write, submit."""
    from nam_like.launch import SlurmJob, SubmitError, find_sbatch, submit, write_script

    if arguments.submit:
        find_sbatch()  # it is better told before anything is written
    job_options: dict[str, Any] = {
        "nodes": arguments.nodes,
        "gpus_per_node": arguments.gpus_per_node,
        "time": arguments.time,
        "partition": arguments.partition,
        "account": arguments.account,
        "grace": arguments.grace,
        "requeue": not arguments.no_requeue,
        "resume": _resumed(arguments.resume),
        "options": tuple(arguments.sbatch),
        "setup": tuple(arguments.setup),
    }
    outdir = Path(arguments.outdir).resolve()
    name = arguments.name or outdir.name or "nam_like"
    # Once without the files, because what is wrong with an option can be told at once.
    SlurmJob(name, outdir, (), Path.cwd(), cpus_per_task=arguments.cpus_per_task or 1, **job_options)
    command, workers = _command(arguments, outdir)
    cores = arguments.cpus_per_task or workers + 1
    job = SlurmJob(name, outdir, command, Path.cwd(), cpus_per_task=cores, **job_options)
    script = write_script(job)
    print(f"{script}: {job.nodes} × {job.tasks_per_node} processes of {_count(cores, 'core')}")
    if not arguments.submit:
        print(f"submit it with: sbatch {shlex.quote(str(script))}")
        return DONE
    try:
        number = submit(script)
    except SubmitError as error:
        print(f"failed: {error}", file=sys.stderr)
        return FAILED
    print(f"submitted as job {number}; its log will be {job.folder / f'{job.name}_{number}.log'}")
    return DONE


def _command(arguments: argparse.Namespace, outdir: Path) -> tuple[list[str], int]:
    """What each process runs, after the files were checked as it will read them; and the loader's workers."""
    from nam_like import extensions
    from nam_like.config.reading import read_files
    from nam_like.launch import device_overrides

    if not arguments.no_extensions:
        extensions.load_extensions()
    data, model, learning_path = (
        str(Path(path).resolve()) for path in (arguments.data, arguments.model, arguments.learning)
    )
    files = read_files(data, model, learning_path, arguments.overrides)
    learning = files.documents["learning"].value
    trainer = learning.get("trainer") if isinstance(learning, dict) else None
    devices = device_overrides(
        trainer if isinstance(trainer, dict) else {}, arguments.nodes, arguments.gpus_per_node
    )
    overrides = [*arguments.overrides, *devices]
    from nam_like.config.run import load_run

    config = load_run(data, model, learning_path, overrides)
    command = [sys.executable, "-m", "nam_like", "train", data, model, learning_path, str(outdir)]
    command.append("--no-show")
    for override in overrides:
        command += ["--set", override]
    if arguments.no_extensions:
        command.append("--no-extensions")
    workers = (config.canonical()["learning"].get("train_dataloader") or {}).get("num_workers")
    return command, workers if isinstance(workers, int) else 0


def _resumed(resume: str | None) -> str | None:
    """As the job is to read it, which may run elsewhere: paths are whole."""
    if resume is None or resume in ("last", "best"):
        return resume
    return str(Path(resume).expanduser().resolve())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
