"""``nam_like import nemo``: from a YAML file to three JSONs that train."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from nam_like.config import jsonc
from tests.cli.conftest import Done

Cli = Callable[..., Done]
BLOCKS = Path(__file__).parents[1] / "config" / "nemo" / "blocks"
SMALL = """
model:
  type: predictive
  sample_rate: 8000
  normalize_input: true
  train_ds:
    manifest_filepath: ???
    input_key: noisy
    target_key: clean
    audio_duration: 0.25
    random_offset: true
    batch_size: 2
  validation_ds:
    manifest_filepath: ???
    input_key: noisy
    target_key: clean
  encoder: {_target_: AudioToSpectrogram, fft_length: 62, hop_length: 31}
  estimator:
    _target_: SpectrogramNoiseConditionalScoreNetworkPlusPlus
    channels: [4, 4, 4]
    num_resolutions: 2
    num_res_blocks: 1
  loss: {_target_: MSELoss}
  optim: {name: adam, lr: 1e-3}
trainer: {max_epochs: 1, accelerator: cpu, enable_progress_bar: false}
"""


def write_manifest(folder: Path) -> Path:
    """Two pairs of half a second, and the manifest that lists them."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(2):
        clean = 0.3 * np.sin(np.arange(4000) * (0.1 + 0.1 * number))
        soundfile.write(folder / f"clean{number}.wav", clean, 8000)
        soundfile.write(folder / f"noisy{number}.wav", clean + 0.05 * rng.normal(size=4000), 8000)
        lines.append({"noisy": f"noisy{number}.wav", "clean": f"clean{number}.wav", "duration": 0.5})
    path = folder / "pairs.json"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def given(path: Path) -> list[str]:
    """The options that name a manifest for both splits."""
    keys = (f"model.{split}_ds.manifest_filepath={path}" for split in ("train", "validation"))
    return [part for key in keys for part in ("--set", key)]


def test_three_files_are_written_and_what_was_decided_is_said(cli: Cli, tmp_path: Path) -> None:
    done = cli("import", "nemo", BLOCKS / "predictive.yaml", tmp_path / "new")
    assert done.code == 0, done.err
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"data.json", "model.json", "learning.json"}
    model = jsonc.loads((tmp_path / "new" / "model.json").read_text(encoding="utf-8"))
    assert model["net"]["name"] == "PredictiveEnhancer"
    for part in (
        "trainer",
        "model.num_outputs",
        "to be given",
        "model.train_ds.manifest_filepath",
        "nam_like check",
    ):
        assert part in done.out


@pytest.mark.parametrize("path", sorted(BLOCKS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_block_of_the_page_is_imported(cli: Cli, tmp_path: Path, path: Path) -> None:
    assert cli("import", "nemo", path, tmp_path / "new").code == 0


def test_a_run_names_what_must_be_given(cli: Cli, tmp_path: Path) -> None:
    assert cli("import", "nemo", BLOCKS / "predictive.yaml", tmp_path).code == 0
    files = [tmp_path / f"{name}.json" for name in ("data", "model", "learning")]
    done = cli("check", *files)
    assert done.code == 2
    assert "expected a value for data.train.manifest_filepath, but got ???" in done.err
    assert "expected a value for data.validation.manifest_filepath, but got ???" in done.err
    assert "2 errors" in done.err


def test_a_mistake_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    yaml = tmp_path / "wrong.yaml"
    yaml.write_text("model:\n  encodr:\n    fft_length: 510\n", encoding="utf-8")
    done = cli("import", "nemo", yaml, tmp_path / "new")
    assert done.code == 2
    assert "wrong.yaml:2:3  model.encodr" in done.err
    assert "did you mean 'encoder'?" in done.err
    yaml.write_text("model:\n  encoder: {_target_: AudioToSpectrogram, fft_lenght: 510}\n", encoding="utf-8")
    done = cli("import", "nemo", yaml, tmp_path / "new")
    assert done.code == 2
    assert "wrong.yaml:2:43  model.encoder.fft_lenght" in done.err
    assert "did you mean 'fft_length'?" in done.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("model:\n  sample_rate: ${model.sample_raet}\n", "a key of model"),
        ("model:\n  sample_rate: ${model.sample_rate}\n", "circle"),
        ("model: [\n", "expected YAML"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(cli: Cli, tmp_path: Path, yaml: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(yaml, encoding="utf-8")
    done = cli("import", "nemo", tmp_path / "a.yaml", tmp_path / "new")
    assert done.code == 2
    assert message in done.err
    assert "a.yaml:2:" in done.err


def test_files_that_exist_are_kept_unless_forced(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("mine", encoding="utf-8")
    done = cli("import", "nemo", BLOCKS / "predictive.yaml", tmp_path)
    assert done.code == 2
    assert "model.json" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
    assert (tmp_path / "model.json").read_text(encoding="utf-8") == "mine"
    assert cli("import", "nemo", BLOCKS / "predictive.yaml", tmp_path, "--force").code == 0


def test_only_nemo_is_known(cli: Cli, tmp_path: Path) -> None:
    assert cli("import", "onnx", "a", "b").code == 2
    assert cli("import", "nemo", tmp_path / "gone.yaml", "b").code == 2


def test_what_was_imported_trains_and_its_weights_are_where_another_run_begins(
    cli: Cli, tmp_path: Path
) -> None:
    import torch

    manifest = write_manifest(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    done = cli("import", "nemo", tmp_path / "small.yaml", tmp_path / "new", *given(manifest))
    assert done.code == 0, done.err
    assert "to be given" not in done.out
    files = [tmp_path / "new" / f"{name}.json" for name in ("data", "model", "learning")]
    assert cli("check", *files).code == 0
    done = cli(*files, tmp_path / "out", "--no-show", full=True)
    assert done.code == 0, done.err
    (folder,) = [path for path in (tmp_path / "out").iterdir() if not path.is_symlink()]
    assert (folder / "model.ts").is_file()

    weights = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    weights = {key.removeprefix("net."): value for key, value in weights.items() if key.startswith("net.")}
    archive = tmp_path / "speech.nemo"
    write_archive(archive, {**weights, "encoder.featurizer.window": torch.ones(4)})
    more = ["--set", f"+init_from_nemo_model={archive}"]
    done = cli("import", "nemo", tmp_path / "small.yaml", tmp_path / "more", *given(manifest), *more)
    assert done.code == 0, done.err
    files = [tmp_path / "more" / f"{name}.json" for name in ("data", "model", "learning")]
    done = cli(*files, tmp_path / "out2", "--no-show", full=True)
    assert done.code == 0, done.err
    assert f"{len(weights)} loaded" in done.err
    assert "unexpected 1: encoder.featurizer.window" in done.err
    assert "missing    0" in done.err


def write_archive(path: Path, weights: dict[str, Any]) -> None:
    """A ``.nemo`` archive, as NeMo writes them."""
    import torch

    buffer = io.BytesIO()
    torch.save(weights, buffer)
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (("model_config.yaml", b"{}"), ("model_weights.ckpt", buffer.getvalue())):
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def test_reading_and_mapping_need_neither_torch_nor_a_run(tmp_path: Path) -> None:
    code = f"""
import sys
from nam_like.cli.main import main
try:
    main(["import", "--help"])
except SystemExit:
    pass
assert "yaml" not in sys.modules and "pydantic" not in sys.modules
from pathlib import Path
from nam_like.config.nemo.convert import convert
convert(Path({str(BLOCKS / "predictive.yaml")!r}))
assert "yaml" in sys.modules and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=True, capture_output=True)
