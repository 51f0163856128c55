"""200 broken configs give 200 clear errors: every one placed, in our words, and nothing but a ConfigError."""

import importlib.util
import itertools
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from nam_like.config.errors import ConfigError
from nam_like.config.jsonc import line_column
from nam_like.config.run import load_run

CONFIGS = Path(__file__).parents[2] / "configs"
COUNT = 200

spec = importlib.util.spec_from_file_location("mutations", Path(__file__).with_name("mutations.py"))
mutations = importlib.util.module_from_spec(spec)


@pytest.fixture(scope="module", autouse=True)
def _module():
    import sys

    sys.modules["mutations"] = mutations
    spec.loader.exec_module(mutations)
    yield
    del sys.modules["mutations"]


TRIPLE = {
    "data": """{
  // one capture
  "train": {"ny": 8192, "stop_seconds": -9.0, "require_input_pre_silence": null},
  "validation": {"ny": null, "start_seconds": -9.0},
  "common": {
    "x_path": "input.wav", "y_path": "output.wav", "delay": 12, "sample_rate": 48000,
    "allow_unequal_lengths": false, "input_gain": -3.0
  },
  "joint": [{"name": "normalize_output", "config": {}}],
  "metadata": {"name": "amp", "gear_type": "amp", "input_level_dbu": 12.5}
}
""",
    "model": """{
  "net": {
    "name": "FakeNet",
    "config": {
      "layers_configs": [
        {"channels": 16, "kernel_size": 3, "gated": false},
        {"channels": 8, "kernel_size": [3, 5, 7], "gated": true}
      ],
      "head_scale": 0.02
    }
  },
  "optimizer": {"lr": 0.004, "betas": [0.9, 0.999], "weight_decay": 1e-7},
  "lr_scheduler": {"class": "ExponentialLR", "kwargs": {"gamma": 0.993}, "interval": "epoch"},
  "loss": {
    "val_loss": "esr", "mask_first": 4096, "dc_weight": 0.1,
    "pre_emph_mrstft_weight": 2e-4, "pre_emph_mrstft_coef": 0.85
  }
}
""",
    "learning": """{
  "train_dataloader": {"batch_size": 16, "shuffle": true, "drop_last": true, "num_workers": 0},
  "val_dataloader": {},
  "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": 100, "val_check_interval": 0.5},
  "callbacks": [{"name": "EarlyStopping", "config": {"monitor": "ESR", "patience": 20}}],
  "seed": 0, "top_k": 3, "export": ["torchscript"]
}
""",
}


def shipped():
    """Triples of the shipped configs: every model with some data and learning JSON."""
    found = {
        name: sorted(path.read_text() for path in (CONFIGS / name / "amp").glob("*.json")) for name in TRIPLE
    }
    if not all(found.values()):
        return []
    return [
        dict(zip(TRIPLE, texts, strict=True))
        for texts in zip(
            itertools.cycle(found["data"]), found["model"], itertools.cycle(found["learning"]), strict=False
        )
    ]


def break_and_load(triple, folder, seed, record):
    """One mutation that makes the files invalid; those that leave them valid are drawn again."""
    paths = [folder / f"{name}.json" for name in triple]
    for attempt in itertools.count():
        rng = random.Random(1000 * seed + attempt)
        name = rng.choice(list(triple))
        mutation = mutations.mutate(triple[name], rng)
        for path, (other, text) in zip(paths, triple.items(), strict=True):
            path.write_text(mutation.text if other == name else text)
        try:
            load_run(*paths)
        except ConfigError as error:
            record["kind", mutation.kind] += 1
            return name, mutation, error
        record["valid", mutation.kind] += 1
    raise AssertionError


def check(name, mutation, error, record):
    rendered = error.render()
    assert "Traceback" not in rendered
    lines = mutation.text.split("\n")
    for problem in error.problems:
        assert problem.line >= 1, rendered
        assert 1 <= problem.column <= len(problem.source_line) + 1, rendered
        assert problem.message.startswith(("expected ", "unknown ", "cannot import ")), rendered
        assert "function-" not in rendered
        assert "[type=" not in rendered
    own = [problem for problem in error.problems if problem.file.endswith(f"{name}.json")]
    assert own, rendered
    assert all(lines[problem.line - 1] == problem.source_line for problem in own)
    line, _ = line_column(mutation.text, mutation.position)
    record["same line", any(abs(problem.line - line) <= 1 for problem in own)] += 1
    record["problems", len(error.problems)] += 1


def run_all(triples, folder):
    record = Counter()
    for seed in range(COUNT):
        check(*break_and_load(triples[seed % len(triples)], folder, seed, record), record)
    return record


def test_200_broken_configs_give_200_clear_errors(tmp_path):
    for name, text in TRIPLE.items():
        (tmp_path / f"{name}.json").write_text(text)
    load_run(*(tmp_path / f"{name}.json" for name in TRIPLE))
    record = run_all([TRIPLE], tmp_path)
    print(json.dumps({str(key): value for key, value in record.items()}, indent=1))
    assert sum(count for (what, _), count in record.items() if what == "kind") == COUNT
    assert record["same line", True] >= 0.8 * COUNT


@pytest.mark.skipif(not shipped(), reason="no shipped configs yet")
def test_200_broken_shipped_configs_give_200_clear_errors(tmp_path):
    record = run_all(shipped(), tmp_path)
    print(json.dumps({str(key): value for key, value in record.items()}, indent=1))
    assert record["same line", True] >= 0.8 * COUNT
