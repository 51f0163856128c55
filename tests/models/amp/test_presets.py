"""The model presets: parameters, receptive fields, and that each can be exported."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from nam_like.config import jsonc
from nam_like.config.learning import LearningConfig
from nam_like.config.model import ModelConfig
from nam_like.export.nam import NamExporter
from nam_like.optim.build import Schedule, build_optimizer, build_scheduler
from nam_like.presets import find_preset

FOLDER = Path(__file__).parents[3] / "configs" / "model" / "amp"
#: trainable parameters, weights in the file (None: it takes knobs), receptive field
FACTS = {
    "a1_standard": (13_801, 13_802, 4093),
    "a1_lite": (6553, 6554, 4093),
    "a1_feather": (3025, 3026, 4093),
    "a1_nano": (841, 842, 4093),
    "classic": (13_801, 13_802, 4093),
    "convnet": (12_593, 13_385, 8191),
    "lstm_1x8": (377, 345, 1),
    "lstm_1x16": (1265, 1201, 1),
    "lstm_2x8": (969, 905, 1),
    "lstm_2x16": (3473, 3345, 1),
    "lstm_3x18": (7111, 6895, 1),
}
UNLISTED = {"conditioned", "debug"}


def read(name: str) -> ModelConfig:
    return ModelConfig.model_validate(jsonc.loads(jsonc.read_text(FOLDER / f"{name}.json")))


def test_there_are_these() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} >= {*FACTS, *UNLISTED}


@pytest.mark.parametrize("name", FACTS)
def test_sizes(name: str) -> None:
    trainable, written, field = FACTS[name]
    net = read(name).net.build()
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == trainable
    assert net.receptive_field == field
    assert NamExporter().obstacles(net) == []
    assert len(net.eval().export_weights()) == written


@pytest.mark.parametrize("name", sorted({*FACTS, *UNLISTED}))
def test_recipes(name: str) -> None:
    model = read(name)
    recurrent = name.startswith("lstm")
    assert model.lr_scheduler is not None
    if recurrent or name == "convnet" or name.startswith("a1_"):  # what was measured to arrive soonest
        wanted = ("SOAP", 0.005) if recurrent else ("SOAP", 0.008) if name == "convnet" else ("Muon", 0.01)
        assert (model.optimizer.name, model.optimizer.config.lr) == wanted
        assert model.lr_scheduler.name == "OneCycleLR"
        assert model.lr_scheduler.config.max_lr == model.optimizer.config.lr
    else:
        assert (model.optimizer.name, model.optimizer.config.lr) == ("Adam", 0.004)
        assert model.lr_scheduler.config.gamma == 0.993
    loss = model.loss.canonical()
    assert loss["val_loss"] == "esr"
    assert loss["mask_first"] == (1024 if recurrent else 0)
    label, weight = ("pre_emph_mse", 1.0) if recurrent else ("pre_emph_mrstft", 2e-4)
    assert loss["terms"][label]["weight"] == weight
    assert loss["terms"][label]["config"]["pre_emphasis"] == 0.85
    if recurrent:
        net = model.net.build()
        assert (net.train_burn_in, net.train_truncate) == (1024, 512)


def test_the_small_ones_are_small() -> None:
    assert sum(p.numel() for p in read("debug").net.build().parameters()) < 1000
    knobs = read("conditioned").net.build()
    assert knobs.num_conditions == 1
    assert knobs.exports == {"torchscript", "onnx"}


def test_the_classic_net_is_the_standard_one() -> None:
    classic, standard = read("classic").net.config, read("a1_standard").net.config
    assert (classic.head_scale, standard.head_scale) == (0.02, 0.3)
    assert classic.layers_configs == standard.layers_configs
    assert read("classic").loss == read("a1_standard").loss


def test_the_rate_falls_from_its_peak_to_nothing_over_the_run() -> None:
    model = read("a1_nano")
    assert model.lr_scheduler is not None
    optimizer = build_optimizer(model.optimizer, model.net.build().parameters())
    schedule = Schedule(model.lr_scheduler, model.lr_scheduler.siblings.interval)
    scheduler = build_scheduler(schedule, optimizer, 1000)["scheduler"]
    rates = []
    for _ in range(1000):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < 1000:
            scheduler.step()
    assert max(rates) == pytest.approx(0.01)
    assert rates.index(max(rates)) == 49
    assert rates[0] == pytest.approx(0.001)
    assert rates[-1] == pytest.approx(1e-5)
    falling = [before - after for before, after in pairwise(rates[49:])]
    assert min(falling) == pytest.approx(max(falling), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "learning"),
    [
        ("a1_standard", "default"),
        ("a1_nano", "default"),
        ("classic", "classic"),
        ("lstm_2x16", "lstm"),
        ("convnet", "default"),
        ("conditioned", "classic"),
        ("debug", "debug"),
    ],
)
def test_optimizer_and_learning_go_together(name: str, learning: str) -> None:
    preset = find_preset(f"amp/{name}")
    assert preset.learning.stem == learning
    batch = LearningConfig.model_validate(jsonc.loads(jsonc.read_text(preset.learning))).train_dataloader
    assert batch.batch_size == {"classic": 16, "lstm": 8}.get(learning, 4)
