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
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-extensions", action="store_true", help="load no extensions")


def run(arguments: argparse.Namespace) -> int:
    """Do all that a run does before its first step; nothing is written."""
    from nam_like import extensions

    if not arguments.no_extensions:
        extensions.load_extensions()
    from nam_like.config.run import load_run
    from nam_like.train.prepare import prepare
    from nam_like.train.quiet import quiet_lightning

    config = load_run(arguments.data, arguments.model, arguments.learning, arguments.overrides)
    with quiet_lightning():
        job = prepare(config, Path())
        facts = {
            "net": _net_facts(job),
            "train": _split_facts(job.datasets.train),
            "validation": _split_facts(job.datasets.validation),
            "training": _training_facts(job),
            "export": [exporter.name for exporter in job.exporters],
            "output_gain": job.datasets.output_gain,
        }
        for dataset in (job.datasets.train, job.datasets.validation):
            dataset.teardown()
    print(json.dumps(facts, indent=2) if arguments.json else _text(facts))
    return DONE


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
    return {
        "items": len(dataset),
        "ny": dataset.ny,
        "recordings": len(recordings),
        "seconds": sum(lengths) / dataset.sample_rate if dataset.sample_rate and lengths else None,
    }


def _training_facts(job: Job) -> dict[str, Any]:
    from nam_like.cli.estimate import training_bytes
    from nam_like.models.base import Net
    from nam_like.train.fit import DEFAULT_EPOCHS

    trainer = job.config.learning.trainer_arguments()
    limit = trainer.get("limit_train_batches", 1.0)
    batches = len(job.train_loader)
    batch_size = job.train_loader.batches.batch_size
    return {
        "task": job.config.model.resolved_task().name,
        "batch_size": batch_size,
        "steps_per_epoch": min(batches, limit) if isinstance(limit, int) else int(batches * limit),
        "max_epochs": trainer.get("max_epochs", DEFAULT_EPOCHS),
        "memory_bytes": training_bytes(job.net, job.datasets.train[0], batch_size)
        if isinstance(job.net, Net)
        else None,
    }


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
            f"{training['task']}, {training['steps_per_epoch']} steps of {training['batch_size']} per epoch"
            + (f", {epochs} epochs" if epochs != -1 else ""),
        ),
        *(
            []
            if memory is None
            else [("memory", f"about {_bytes(memory)} for a training step, beside PyTorch itself")]
        ),
        ("export", ", ".join(facts["export"]) or "nothing"),
    ]
    if facts["output_gain"] != 1.0:
        rows.append(("output gain", f"{facts['output_gain']:.6g} while training; undone on export"))
    return f"no errors\n{table(rows)}"


def _split_text(split: dict[str, Any]) -> str:
    items = "1 item" if split["items"] == 1 else f"{split['items']} items"
    length = f" of {split['ny']} samples" if split["ny"] else " (whole recordings)"
    recordings = "1 recording" if split["recordings"] == 1 else f"{split['recordings']} recordings"
    seconds = f", {split['seconds']:.1f} s" if split["seconds"] is not None else ""
    return f"{items}{length} from {recordings}{seconds}"


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{max(1, round(count / 2**20))} MiB"
