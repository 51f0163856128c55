"""`nam_like enhance`: files and folders, what is told, exit codes, and what is never overwritten."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from nam_like.audio.multichannel import Block
from tests.cli.conftest import Done
from tests.export.enhance.nets import Same, mask_net, save

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning")

Cli = Callable[..., Done]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(Same(0.5), tmp_path / "model.ts")


def noise(samples: int = 4000, channels: int = 1) -> Block:
    return (0.1 * np.random.default_rng(0).standard_normal((channels, samples))).astype(np.float32)


def write(path: Path, audio: Block | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, (noise() if audio is None else audio).T, 8000)
    return path


def test_a_folder_keeps_its_structure(cli: Cli, tmp_path: Path, model: Path) -> None:
    write(tmp_path / "in" / "a.wav")
    write(tmp_path / "in" / "deeper" / "b.flac")
    (tmp_path / "in" / "notes.txt").write_text("no audio")
    single = write(tmp_path / "c.wav")
    done = cli(
        "enhance", model, tmp_path / "in", single, "-o", tmp_path / "out", "--block", 0.2, "--overlap", 0.1
    )
    assert done.code == 0, done.err
    made = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert made == ["a.wav", "c.wav", "deeper/b.wav"]
    for name in made:
        read, rate = soundfile.read(tmp_path / "out" / name, dtype="float32")
        assert rate == 8000
        np.testing.assert_allclose(read, 0.5 * noise()[0], atol=1e-4)
    lines = done.out.splitlines()
    assert "a.wav: 0.50 s at 8000 Hz, 1 channel, peak 0." in lines[0]
    assert "times faster than realtime" in lines[0]
    assert lines[-1].startswith("3 files, 1.5 s of audio in ")
    # Again: what was enhanced before is there, and is no input where the outputs lie in the inputs' folder.
    assert (
        "outputs that do not exist yet (--force replaces them)"
        in cli("enhance", model, single, "-o", tmp_path / "out").err
    )
    assert cli("enhance", model, tmp_path / "in", "-o", tmp_path / "in" / "out").code == 0
    again = cli("enhance", model, tmp_path / "in", "-o", tmp_path / "in" / "out", "--force", "--quiet")
    assert (again.code, again.out) == (0, "")
    assert len(list((tmp_path / "in" / "out").rglob("*.wav"))) == 2


def test_a_single_file_can_be_named(cli: Cli, tmp_path: Path, model: Path) -> None:
    noisy = write(tmp_path / "x.wav")
    assert cli("enhance", model, noisy, "-o", tmp_path / "y.wav", "--subtype", "PCM_24").code == 0
    assert soundfile.info(tmp_path / "y.wav").subtype == "PCM_24"


def test_a_stream(cli: Cli, tmp_path: Path) -> None:
    noisy = write(tmp_path / "x.wav")
    causal = save(mask_net(), tmp_path / "causal.ts")
    assert cli("enhance", causal, noisy, "-o", tmp_path / "streamed.wav", "--stream").code == 0
    assert cli("enhance", causal, noisy, "-o", tmp_path / "whole.wav").code == 0
    streamed, whole = (soundfile.read(tmp_path / name)[0] for name in ("streamed.wav", "whole.wav"))
    np.testing.assert_allclose(streamed, whole, atol=2e-6)


PEAK = """
import resource, sys
from nam_like.cli.main import main
code = main(sys.argv[1:])
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--stream"]])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, options: list[str]) -> None:
    """Half an hour of stereo, 220 MiB as float32, takes as much memory as a minute."""
    causal = save(mask_net(), tmp_path / "causal.ts")
    peaks = []
    for minutes in (1, 30):
        noisy = tmp_path / f"{minutes}.wav"
        second = 0.1 * np.random.default_rng(0).standard_normal((16000 * 60, 2))
        with soundfile.SoundFile(noisy, "w", 16000, 2, "PCM_16") as file:
            for _ in range(minutes):
                file.write(second)
        command = ["enhance", str(causal), str(noisy), "-o", str(tmp_path / "out"), *options]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *command], capture_output=True, text=True, check=True
        )
        code, peak = done.stdout.splitlines()[-1].split()
        assert code == "0"
        assert soundfile.info(tmp_path / "out" / noisy.name).frames == 16000 * 60 * minutes
        peaks.append(int(peak) / 1024)  # MiB
    assert peaks[1] < peaks[0] + 60


def test_files_that_fail_do_not_stop_the_others(cli: Cli, tmp_path: Path, model: Path) -> None:
    write(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "b.wav").write_bytes(b"no audio at all")
    write(tmp_path / "in" / "c.wav", noise(channels=2))
    write(tmp_path / "in" / "d.wav")
    done = cli("enhance", model, tmp_path / "in", "-o", tmp_path / "out")
    assert done.code == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "d.wav"]
    listed = done.err.split("2 files could not be enhanced:\n")[1].splitlines()
    assert "b.wav" in listed[0]
    assert "c.wav: expected 1 channels, as the net takes, but got 2" in listed[1]


def test_where_nothing_can_be_written_the_input_is_wrong(cli: Cli, tmp_path: Path, model: Path) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"no audio at all")
    both = cli("enhance", model, tmp_path / "a.wav", tmp_path / "b.wav", "-o", tmp_path / "out")
    assert (both.code, (tmp_path / "out").exists()) == (2, False)
    one = cli("enhance", model, tmp_path / "a.wav", "-o", tmp_path / "out")
    assert one.code == 2
    assert one.err.startswith("error: ")
    assert one.err.count("a.wav") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.wav", "-o", "out"], "gone.wav: no such file"),
        (["x.wav", "-o", "out", "--block", "0"], "a block of more than 0 seconds"),
        (["x.wav", "-o", "out", "--overlap", "20"], "an overlap from 0 to half a block"),
        (["x.wav", "-o", "out", "--channels", "one"], "`--channels` as different numbers from 0 on"),
        (["x.wav", "-o", "out", "--channels", "0,0"], "`--channels` as different numbers from 0 on"),
        (["x.wav", "-o", "out", "--device", "toaster"], "a device of this machine"),
        (["x.wav", "-o", "out", "--stream"], "this net cannot run on a stream: it is no MaskEnhancer"),
        (["x.wav", "-o", "."], "expected the output to be another file than an input"),
        (["x.wav", "-o", "x.wav", "--force"], "expected the output to be another file than an input"),
    ],
)
def test_mistakes_write_nothing(
    cli: Cli, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = write(tmp_path / "x.wav").read_bytes()
    done = cli("enhance", model, *arguments)
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "x.wav").read_bytes() == before


def test_a_file_that_is_no_net(cli: Cli, tmp_path: Path) -> None:
    noisy = write(tmp_path / "x.wav")
    done = cli("enhance", noisy, noisy, "-o", tmp_path / "out")
    assert done.code == 2
    assert "x.wav: expected a TorchScript file" in done.err


def test_a_net_that_names_no_rate_is_played_at_the_files(cli: Cli, tmp_path: Path) -> None:
    noisy = write(tmp_path / "x.wav")
    bare = save(Same(sample_rate=0.0), tmp_path / "bare.ts")
    done = cli("enhance", bare, noisy, "-o", tmp_path / "out")
    assert "does not say its sample rate" in done.out
    assert done.code == 0
