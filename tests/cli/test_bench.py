"""`nam_like bench`: the table, the JSON, the path, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nam_like.cli.bench import BLOCKS, measure
from nam_like.cli.main import main
from nam_like.export.player import load
from nam_like.native import library

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
MODEL = str(GOLDEN / "lstm_1x8" / "model.nam")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", MODEL, "--seconds", "0.01", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["architecture"], facts["sample_rate"], facts["fast_tanh"]) == ("LSTM", 48000.0, False)
    assert [row["block"] for row in facts["blocks"]] == list(BLOCKS)
    for row in facts["blocks"]:
        assert row["realtime_factor"] == pytest.approx(row["block"] / 48.0 / row["median_ms"])
        assert row["slowest_ms"] >= row["median_ms"] > 0


def test_the_table_names_the_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", MODEL, "--seconds", "0.01"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{MODEL}: LSTM at 48000 Hz, one thread"
    assert [int(line.split()[0]) for line in lines[2:-1]] == list(BLOCKS)
    assert lines[-1] == f"played by the {load(MODEL).describe()}"


def test_the_reader_is_timed_where_nothing_else_plays() -> None:
    with library.using("off"):
        player = load(GOLDEN / "linear_bias" / "model.nam")
        assert [row["block"] for row in measure(player, 48000.0, 0.01)] == list(BLOCKS)
        assert player.time_blocks(np.zeros(100, np.float32), 30).shape == (3,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.nam"], "gone.nam"),
        ([MODEL, "--seconds", "0"], "`--seconds` to be above 0"),
        ([MODEL, "--slim", "0.5"], "one size only"),
    ],
)
def test_bad_input_is_explained(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err
