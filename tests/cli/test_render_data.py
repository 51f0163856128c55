"""`nam_like render model.nam data.json`: renderings, and the data JSON that a smaller net is trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from nam_like.audio.resample import resample
from nam_like.data import init_dataset
from nam_like.export.player import load
from tests.cli.conftest import Done
from tests.conftest import Capture, Run

Cli = Callable[..., Done]

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
MODEL = GOLDEN / "wn_a1_nano" / "model.nam"


def played(x: np.ndarray) -> np.ndarray:
    return load(MODEL).process(x)


def dry(capture: Capture) -> np.ndarray:
    return soundfile.read(capture.x, dtype="float32")[0]


def wet(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def write_data(capture: Capture, **data: Any) -> Path:
    path = capture.folder / "data.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def rendered(cli: Cli, data: Path, out: Path, *options: str) -> dict[str, Any]:
    done = cli("render", MODEL, data, "-o", out, *options)
    assert done.code == 0, done.err
    written: dict[str, Any] = json.loads((out / "data.json").read_text(encoding="utf-8"))
    return written


def test_a_smaller_net_trains_on_it(cli: Cli, tiny_run: Run, tmp_path: Path) -> None:
    tiny_run.data["common"] |= {"delay": 3, "y_scale": 0.5}
    arguments = tiny_run.write()
    out = tmp_path / "rendered"
    written = rendered(cli, Path(arguments[0]), out)
    assert written == {
        split: {
            **tiny_run.data[split],
            "x_path": str(tiny_run.folder / "x.wav"),
            "y_path": str(out / "x.wav"),
            "delay": 0,
            "require_input_pre_silence": None,
        }
        for split in ("train", "validation")
    }
    assert sorted(path.name for path in out.iterdir()) == ["data.json", "x.wav"]
    checked = cli("check", out / "data.json", *arguments[1:3])
    assert checked.code == 0, checked.err
    trained = cli(out / "data.json", *arguments[1:3], tmp_path / "out", "-ns", "-np", full=True)
    assert trained.code == 0, trained.err
    assert (tmp_path / "out" / "latest" / "model.nam").exists()


def test_y_is_the_rendering_of_x(cli: Cli, capture: Capture, tmp_path: Path) -> None:
    """As the datasets see it: cut alike, with the gain that the net would hear."""
    data = write_data(
        capture,
        common={"x_path": "x.wav", "y_path": "y.wav", "require_input_pre_silence": None, "ny": 512},
        train=[
            {"stop_samples": 40000, "input_gain": -6.0, "delay": -7},
            {"start_samples": 40000, "stop_seconds": -0.5, "y_preroll": 0},
        ],
        validation={"start_seconds": -0.5},
    )
    written = rendered(cli, data, tmp_path / "out")
    x, gain = dry(capture), np.float32(10 ** (-6 / 20))
    loud, soft = played(x), played(gain * x)
    for split, parts in (("train", (soft[:40000], loud[40000:-24000])), ("validation", (loud[-24000:],))):
        dataset = init_dataset(written, split, nx=4, folders=[tmp_path])
        for recording, expected in zip(dataset.base_datasets(), parts, strict=True):
            np.testing.assert_array_equal(recording.y.numpy(), expected)  # type: ignore[attr-defined]
    assert Path(written["train"][0]["y_path"]).name == "x.wav"  # the first that is named
    assert Path(written["train"][1]["y_path"]).name == "x_2.wav"
    assert written["validation"]["y_path"] == written["train"][1]["y_path"]
    first = next(iter(init_dataset(written, "train", nx=4, folders=[tmp_path]).base_datasets()))
    torch.testing.assert_close(first.x, torch.from_numpy(gain * x[:40000]), rtol=0, atol=0)  # type: ignore[attr-defined]


def test_channels_rates_and_names(cli: Cli, capture: Capture, tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    x = dry(capture)
    (capture.folder / "more").mkdir()
    soundfile.write(capture.folder / "more" / "X.wav", np.stack([x, -x], axis=1), 48000, subtype="FLOAT")
    soundfile.write(capture.folder / "slow.flac", x, 44100, subtype="PCM_24")
    data = write_data(
        capture,
        common={"y_path": "y.wav", "require_input_pre_silence": None, "allow_unequal_lengths": True},
        train=[
            {"x_path": "x.wav"},
            {"x_path": "more/X.wav", "channel": 0, "x_channel": 1},
            {"x_path": "more/X.wav", "channel": 0},
            {"x_path": "slow.flac", "sample_rate": 48000, "resample": True},
        ],
        validation={"name": "paired", "config": {"x_path": "x.wav", "sample_rate": 48000}},
        joint=[{"name": "normalize_output", "config": {"level_rms_dbfs": -18}}],
        metadata={"gear_make": "Loud"},
        memory="resident",
    )
    out = tmp_path / "out"
    written = rendered(cli, data, out, "--threads", "2")
    names = [Path(member["y_path"]).name for member in (*written["train"], written["validation"])]
    assert names == ["x.wav", "X_2.wav", "X_3.wav", "slow.wav", "x.wav"]
    assert [member.get("x_channel") for member in written["train"]] == [None, 1, 0, None]
    assert not {"channel", "allow_unequal_lengths"} & {key for member in written["train"] for key in member}
    assert [written[key] for key in ("joint", "metadata", "memory")] == [
        [{"name": "normalize_output", "config": {"level_rms_dbfs": -18}}],
        {"gear_make": "Loud"},
        "resident",
    ]
    np.testing.assert_array_equal(wet(out / "X_2.wav"), played(-x))
    np.testing.assert_array_equal(wet(out / "X_3.wav"), played(x))
    slow = soundfile.read(capture.folder / "slow.flac", dtype="float32")[0]
    np.testing.assert_allclose(wet(out / "slow.wav"), played(resample(slow, 44100, 48000)), atol=1e-5)
    dataset = init_dataset(written, "train", nx=4, folders=[tmp_path])
    assert [len(recording.y) for recording in dataset.base_datasets()][:3] == [len(x)] * 3  # type: ignore[attr-defined]


def test_renderings_that_reach_full_scale_are_scaled(cli: Cli, capture: Capture, tmp_path: Path) -> None:
    """A dataset refuses what clips."""
    content = json.loads(MODEL.read_text("utf-8"))
    content["weights"][-1] *= 20
    loud = tmp_path / "loud.nam"
    loud.write_text(json.dumps(content), "utf-8")
    keys = {"x_path": "x.wav", "y_path": "y.wav"}
    done = cli("render", loud, write_data(capture, train=keys, validation=keys), "-o", tmp_path / "out")
    assert done.code == 0, done.err
    written = json.loads((tmp_path / "out" / "data.json").read_text("utf-8"))
    assert f"`y_scale` in {tmp_path / 'out' / 'data.json'} is {written['train']['y_scale']:g}" in done.err
    y = next(iter(init_dataset(written, "train", nx=4).base_datasets())).y  # type: ignore[attr-defined]
    assert float(y.abs().max()) == pytest.approx(0.99, abs=1e-4)


def test_the_current_directory_does_not_matter(
    cli: Cli, capture: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative `y_path` would be found as the dry recording of the same name."""
    keys = {"x_path": "x.wav", "y_path": "y.wav"}
    data = write_data(capture, train=keys, validation=keys)
    monkeypatch.chdir(capture.folder)
    written = rendered(cli, Path(data.name), Path("out"))
    for folder in (capture.folder, tmp_path):
        monkeypatch.chdir(folder)
        dataset = next(iter(init_dataset(written, "train", nx=4).base_datasets()))
        np.testing.assert_array_equal(dataset.y.numpy(), played(dry(capture)))  # type: ignore[attr-defined]


def test_a_rendering_that_fails_leaves_no_data_json(cli: Cli, capture: Capture, tmp_path: Path) -> None:
    x = dry(capture)
    soundfile.write(capture.folder / "bad.flac", x, 48000, subtype="PCM_24")
    damaged = bytearray((capture.folder / "bad.flac").read_bytes())
    damaged[len(damaged) // 2 :] = bytes(len(damaged) - len(damaged) // 2)
    (capture.folder / "bad.flac").write_bytes(damaged)
    keys = {"x_path": "x.wav", "y_path": "y.wav"}
    data = write_data(capture, train=[keys, {**keys, "x_path": "bad.flac"}], validation=keys)
    done = cli("render", MODEL, data, "-o", tmp_path / "out")
    assert done.code == 1
    assert "bad.flac" in done.err
    assert "data.json: not written, because renderings are missing" in done.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x.wav"]


PAIR = {"x_path": "x.wav", "y_path": "y.wav"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "manifest", "train": {"manifest_filepath": "a"}}, "but got the kind 'manifest'"),
        ({"type": "parametric"}, "but got the kind 'parametric', whose knobs a .nam file does not have"),
        ({"type": "my_module.MyDataset"}, "but got the kind 'my_module.MyDataset'"),
        (
            {"train": {**PAIR, "x_path": "gone.wav"}},
            "to be a file, but 'gone.wav' is found",
        ),
        ({"train": {**PAIR, "dealy": 1}}, "did you mean 'delay'?"),
        ({"trian": PAIR}, "did you mean 'train'?"),
        ({"train": {**PAIR, "ny": 0}}, "more than 0"),
        ({"train": {"y_path": "y.wav"}}, "x_path"),
        ({"train": {**PAIR, "channel": 1}}, "expected `channel` to be from 0 to 0, but got 1"),
        ({"train": {**PAIR, "sample_rate": 44100}}, "expected a sample rate of 44100 Hz, but got 48000 Hz"),
        ({"train": {**PAIR, "x_path": "slow.wav"}}, "that of the model, but got 16000 Hz"),
        ({"train": {**PAIR, "x_path": "data.json"}}, "not an audio file"),
        ({"train": {**PAIR, "x_path": "???"}}, "expected a value for data.train.x_path"),
        ({"train": {**PAIR, "x_path": "${data.common.nothing}"}}, "nothing"),
        ({"memory": "somewhere"}, "mapped"),
    ],
)
def test_mistakes_are_placed_and_nothing_is_written(
    cli: Cli, capture: Capture, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    soundfile.write(capture.folder / "slow.wav", dry(capture), 16000)
    content = {"train": PAIR, "validation": PAIR, **change}
    if "trian" in change:
        del content["train"]
    data = write_data(capture, **content)
    done = cli("render", MODEL, data, "-o", tmp_path / "out")
    assert done.code == 2
    assert message in done.err
    assert f"{data}:1:" in done.err
    assert not (tmp_path / "out").exists()


def test_what_is_refused(cli: Cli, capture: Capture, tmp_path: Path) -> None:
    data = write_data(capture, train=PAIR, validation=PAIR)
    out = tmp_path / "out"
    before = {path: path.read_bytes() for path in capture.folder.iterdir()}
    for arguments, message in (
        ([data, capture.x, "-o", out], "expected a data JSON alone"),
        ([data, "-o", out, "--channel", "0"], "expected `x_channel` in the data JSON"),
        ([data, "-o", out, "--resample"], "expected `sample_rate` and `resample` in the data JSON"),
        ([data, "-o", tmp_path / "y.wav"], "expected `-o` to be a folder"),
        ([data, "-o", data], "expected `-o` to be a folder"),
        ([data, "-o", capture.folder, "--force"], "expected the output to be another file than an input"),
        ([capture.folder / "gone.json", "-o", out], "gone.json"),
    ):
        done = cli("render", MODEL, *arguments)
        assert done.code == 2
        assert message in done.err
        assert not out.exists()
    # Neither is a recorded output overwritten, which is read by no one here.
    (capture.folder / "wet").mkdir()
    (capture.folder / "y.wav").rename(capture.folder / "wet" / "x.wav")
    data = write_data(capture, train={**PAIR, "y_path": "wet/x.wav"}, validation={**PAIR, "y_path": "none"})
    done = cli("render", MODEL, data, "-o", capture.folder / "wet", "--force")
    assert done.code == 2
    assert (capture.folder / "wet" / "x.wav").read_bytes() == before[capture.y]


def test_existing_outputs_need_force(cli: Cli, capture: Capture, tmp_path: Path) -> None:
    data = write_data(capture, train=PAIR, validation=PAIR)
    written = rendered(cli, data, tmp_path / "out")
    (tmp_path / "out" / "x.wav").unlink()
    again = cli("render", MODEL, data, "-o", tmp_path / "out")
    assert again.code == 2
    assert f"(--force replaces them), but got {tmp_path / 'out' / 'data.json'}" in again.err
    assert not (tmp_path / "out" / "x.wav").exists()
    assert rendered(cli, data, tmp_path / "out", "--force") == written
