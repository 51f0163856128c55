"""The data presets: each is valid, and describes recordings that can be trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nam_like.audio.capture_signal import capture_signal, split_for
from nam_like.audio.io import write_audio
from nam_like.config import jsonc
from nam_like.config.data import DataConfig
from nam_like.data.build import build_datasets

FOLDER = Path(__file__).parents[2] / "configs" / "data" / "amp"
RATE = 8000


def read(name: str) -> Any:
    return jsonc.loads(jsonc.read_text(FOLDER / f"{name}.json"))


def test_there_is_one_for_each_way_of_use() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {
        "debug",
        "default",
        "demo",
        "conditioned",
        "single_pair",
        "two_pairs",
    }


@pytest.mark.parametrize("name", ["conditioned", "debug", "single_pair", "two_pairs"])
def test_presets_for_own_material_build(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = DataConfig.model_validate(read(name))
    monkeypatch.chdir(tmp_path)
    for member in (*config.train, *config.validation):
        for seed, path in enumerate((member.config.x_path, member.config.y_path)):
            noise = np.random.default_rng(seed).uniform(-0.3, 0.3, 12 * RATE).astype(np.float32)
            write_audio(tmp_path / path, noise, RATE, subtype="FLOAT")
    (tmp_path / "knobs.csv").write_text("time,gain\n0,0\n12,10\n", encoding="utf-8")
    built = build_datasets(config, nx=100)
    assert len(built.train) >= 2
    assert built.train.condition_names == (("gain",) if name == "conditioned" else ())
    assert built.validation.ny is None
    assert not caplog.records


def test_the_default_is_made_for_our_own_signal() -> None:
    config = DataConfig.model_validate(read("default"))
    for split, bounds in split_for(capture_signal(48_000)).items():
        (member,) = getattr(config, split)
        assert {key: getattr(member.config, key) for key in bounds} == bounds
