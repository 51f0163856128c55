"""Validate three JSONs and their audio, build the net, report what the run would be, and stop."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nam_like.cli.console import DONE, table

if TYPE_CHECKING:
    from nam_like.data.base import AbstractDataset
    from nam_like.train.prepare import Job

EXAMPLES = """examples:
  nam_like check data.json model.json learning.json
  nam_like check data.json model.json learning.json --set model.net.name=LSTM --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("data", metavar="data.json")
    parser.add_argument("model", metavar="model.json")
    parser.add_argument("learning", metavar="learning.json")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="override one value before validation; ~PATH removes it",
    )
    parser.add_argument(
        "--render",
        type=int,
        default=0,
        metavar="N",
        help="write N training examples as WAVs, as the net would hear them (speech families)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("rendered"), metavar="DIR", help="where --render writes; ./rendered"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-extensions", action="store_true", help="load no extensions")


def run(arguments: argparse.Namespace) -> int:
    """Do all that a run does before its first step; nothing is written but what --render asks for."""
    from nam_like import extensions
    from nam_like.errors import UserError

    if arguments.render < 0:
        raise UserError(f"expected `--render` to be at least 0, but got {arguments.render}")
    if not arguments.no_extensions:
        extensions.load_extensions()
    from nam_like.config.run import load_run
    from nam_like.train.prepare import prepare
    from nam_like.train.quiet import quiet_lightning

    config = load_run(arguments.data, arguments.model, arguments.learning, arguments.overrides)
    with quiet_lightning():
        job = prepare(config, Path())
        facts: dict[str, Any] = {
            "net": _net_facts(job),
            "train": _split_facts(job.datasets.train),
            "validation": _split_facts(job.datasets.validation),
            "training": _training_facts(job),
            "export": [exporter.name for exporter in job.exporters],
            "output_gain": job.datasets.output_gain,
            **_speech_facts(job),
        }
        rendered = _render(job, arguments)
        for dataset in (job.datasets.train, job.datasets.validation):
            dataset.teardown()
    if arguments.json:
        mixture = facts.pop("mixture", None)
        print(json.dumps(facts | ({} if mixture is None else mixture.as_dict()), indent=2))
    else:
        print(_text(facts))
        for path in rendered:
            print(path)
    return DONE


def _render(job: Job, arguments: argparse.Namespace) -> list[Path]:
    """Write training examples, where some are asked for."""
    from nam_like.cli.check_speech import is_speech, render_examples
    from nam_like.errors import UserError

    if not arguments.render:
        return []
    if not is_speech(job):
        raise UserError("expected examples of named signals to render, but got aligned recordings")
    return render_examples(job, arguments.render, arguments.out)


def _net_facts(job: Job) -> dict[str, Any]:
    from nam_like.cli.estimate import macs_per_sample, parameter_count
    from nam_like.models.base import Net
    from nam_like.train.streaming import has_finite_memory

    entry, net = job.config.model.net.entry, job.net
    rate, field = net.sample_rate, net.receptive_field
    return {
        "name": entry.name,
        "family": entry.family,
        "parameters": parameter_count(net),
        "recurrent": not has_finite_memory(net) if isinstance(net, Net) else None,
        "receptive_field": field,
        "receptive_field_ms": 1e3 * field / rate if field and rate else None,
        "sample_rate": rate,
        "macs_per_sample": macs_per_sample(net) if isinstance(net, Net) else None,
    }


def _split_facts(dataset: AbstractDataset) -> dict[str, Any]:
    recordings = list(dataset.base_datasets())
    lengths = [len(y) for y in (getattr(recording, "y", None) for recording in recordings) if y is not None]
    streamed = getattr(dataset, "streamed", False)
    return {
        "items": None if streamed else len(dataset),
        "ny": dataset.ny,
        "recordings": None if dataset.padded else len(recordings),
        "seconds": sum(lengths) / dataset.sample_rate if dataset.sample_rate and lengths else None,
    }


def _training_facts(job: Job) -> dict[str, Any]:
    from nam_like.cli.estimate import training_bytes
    from nam_like.data.stream_loader import StreamLoader
    from nam_like.models.base import Net
    from nam_like.train.fit import DEFAULT_EPOCHS
    from nam_like.train.loaders import steps_per_epoch

    trainer = job.config.learning.trainer_arguments()
    loader, memory = job.train_loader, None
    batch_size = loader.limits.batch_size if isinstance(loader, StreamLoader) else loader.batches.batch_size
    if isinstance(job.net, Net) and batch_size is not None:
        memory = training_bytes(job.net, job.datasets.train[0], batch_size)
    return {
        "task": job.config.model.resolved_task().name,
        "batch_size": batch_size,
        "steps_per_epoch": steps_per_epoch(loader, trainer),
        "max_epochs": trainer.get("max_epochs", DEFAULT_EPOCHS),
        "max_steps": trainer.get("max_steps", -1),
        "memory_bytes": memory,
    }


def _speech_facts(job: Job) -> dict[str, Any]:
    """What is to be known of named signals: the mixture they come from, and how fast they come."""
    from nam_like.cli.check_speech import is_speech, throughput
    from nam_like.train.loaders import mixture_of

    if not is_speech(job):
        return {}
    mixture = mixture_of(job.datasets.train)
    facts: dict[str, Any] = {} if mixture is None else {"mixture": mixture}
    return {**facts, "loader": throughput(job)}


def _text(facts: dict[str, Any]) -> str:
    net, training = facts["net"], facts["training"]
    milliseconds = net["receptive_field_ms"]
    field = f"{net['receptive_field']} samples" + (f" ({milliseconds:.1f} ms)" if milliseconds else "")
    if net["recurrent"]:
        field = "unbounded (the net is recurrent)"
    elif net["receptive_field"] is None:
        field = "the whole input"
    macs = net["macs_per_sample"]
    per_second = ""
    if macs is not None and net["sample_rate"]:
        per_second = f", {macs * net['sample_rate'] / 1e9:.3g} billion per second"
    memory = training["memory_bytes"]
    epochs = training["max_epochs"]
    rows = [
        ("net", f"{net['name']}" + (f" ({net['family']})" if net["family"] else "")),
        ("parameters", f"{net['parameters']}"),
        ("receptive field", field),
        *([] if macs is None else [("multiplications", f"{macs:.0f} per sample{per_second}")]),
        ("train", _split_text(facts["train"])),
        ("validation", _split_text(facts["validation"])),
        (
            "training",
            f"{training['task']}, {_steps_text(training)}" + (f", {epochs} epochs" if epochs != -1 else ""),
        ),
        *(
            []
            if memory is None
            else [("memory", f"about {_bytes(memory)} for a training step, beside PyTorch itself")]
        ),
        ("export", ", ".join(facts["export"]) or "nothing"),
    ]
    if "loader" in facts:
        loader = facts["loader"]
        rows.append(
            (
                "loader",
                f"{loader['examples_per_second']:.0f} examples per second "
                f"({loader['times_realtime']:.0f} times realtime), "
                f"the first batch after {loader['first_batch_seconds']:.2f} s",
            )
        )
    if facts["output_gain"] != 1.0:
        rows.append(("output gain", f"{facts['output_gain']:.6g} while training; undone on export"))
    mixture = f"\n{facts['mixture'].table()}" if "mixture" in facts else ""
    return f"no errors\n{table(rows)}{mixture}"


def _steps_text(training: dict[str, Any]) -> str:
    size = "" if training["batch_size"] is None else f" of {training['batch_size']}"
    if training["steps_per_epoch"] is None:
        return f"{_steps(training['max_steps'])}{size}"
    return f"{_steps(training['steps_per_epoch'])}{size} per epoch"


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _split_text(split: dict[str, Any]) -> str:
    if split["items"] is None:
        return "a stream without an end"
    if split["recordings"] is None:
        return "1 example" if split["items"] == 1 else f"{split['items']} examples"
    items = "1 item" if split["items"] == 1 else f"{split['items']} items"
    length = f" of {split['ny']} samples" if split["ny"] else " (whole recordings)"
    recordings = "1 recording" if split["recordings"] == 1 else f"{split['recordings']} recordings"
    seconds = f", {split['seconds']:.1f} s" if split["seconds"] is not None else ""
    return f"{items}{length} from {recordings}{seconds}"


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{max(1, round(count / 2**20))} MiB"
