"""Examples in the documentation are valid, and its links lead somewhere.

A ```json block whose first line is ``// model.json`` (or data, learning) is a whole file;
``// model.json, in part`` is some of its top-level keys. A ```python block that begins with
``# ~/.nam_like/extensions/`` is an extension; it is loaded before the JSON blocks of its page are read.
"""

import re
import shlex
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from nam_like.cli.estimate import macs_per_sample, parameter_count
from nam_like.cli.full import main as nam_full
from nam_like.cli.main import main as nam_like
from nam_like.config.data import DataConfig
from nam_like.config.jsonc import loads
from nam_like.config.learning import LearningConfig
from nam_like.config.model import ModelConfig
from nam_like.config.references import resolve
from nam_like.data import init_dataset
from nam_like.data.build import build_datasets
from nam_like.data.reweighting import probabilities
from nam_like.export.quiet_jit import quiet_jit
from nam_like.registry import kinds, registry_of

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md", ROOT / "extensions_examples" / "README.md"]
MODELS = {"data": DataConfig, "model": ModelConfig, "learning": LearningConfig}
#: what a file needs besides the keys of a partial example
REST = {
    "data": {"train": {"ny": 8}, "validation": {}, "common": {"x_path": "x.wav", "y_path": "y.wav"}},
    "model": {"net": {"name": "Linear", "config": {"receptive_field": 4}}, "optimizer": {"lr": 0.01}},
    "learning": {},
}
_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
_MARK = re.compile(r"\s*// (?P<file>data|model|learning)\.json(?P<part>, in part)?\s*$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def blocks(page: Path, language: str) -> list[str]:
    return [
        textwrap.dedent(match["text"])
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match["language"] == language
    ]


def value_of(block: str) -> object:
    bare = re.sub(r"//[^\n]*\n|/\*.*?\*/", "", block, flags=re.DOTALL).lstrip()
    return loads(block if bare.startswith(("{", "[")) else f"{{{block}}}")


def examples() -> list[object]:
    return [
        pytest.param(page, mark["file"], bool(mark["part"]), block, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, block in enumerate(blocks(page, "json"))
        if (mark := _MARK.match(block))
    ]


def slugs(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ +(.*?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.fixture
def extensions_of_page(request, monkeypatch):
    """Load the extensions that a page shows; forget them afterwards."""
    registries = [registry_of(kind) for kind in kinds()]
    for registry in registries:
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))

    def load(page: Path) -> None:
        for block in blocks(page, "python"):
            if block.startswith("# ~/.nam_like/extensions/"):
                exec(compile(block, str(page), "exec"), {"__name__": "example"})

    return load


def test_there_are_examples_of_every_file():
    assert {param.values[1] for param in examples()} == set(MODELS)


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_every_json_block_is_json(page):
    for block in blocks(page, "json"):
        value_of(block)


@pytest.mark.parametrize(("page", "file", "part", "block"), examples())
def test_examples_are_valid(page, file, part, block, extensions_of_page):
    extensions_of_page(page)
    value = value_of(block)
    config = MODELS[file].model_validate({**REST[file], **value} if part else value)
    if file == "model":
        torch.set_num_threads(1)
        net = config.net.build()
        assert net.receptive_field is None or net.receptive_field >= 1
        for term in config.loss.terms.values():
            term.build()


def test_the_plugins_of_add_a_net_work_together(extensions_of_page):
    page = ROOT / "docs" / "add-a-net.md"
    extensions_of_page(page)
    found = {}
    for block in blocks(page, "json"):
        mark = _MARK.match(block)
        found.setdefault(mark["file"], {}).update(value_of(block))
    model = ModelConfig.model_validate({**REST["model"], **found["model"]})
    net = model.net.build()
    datasets = build_datasets(DataConfig.model_validate(found["data"]), net.receptive_field)
    x, y = datasets.train[0]
    prediction = net(x[None], pad_start=False)
    assert prediction.shape == y[None].shape
    (loss,) = (term.build() for term in model.loss.terms.values())
    value = loss(prediction, y[None])
    value.backward()
    assert value.item() > 0
    assert net.drive.grad.abs() > 0


def test_the_streaming_example_runs(tmp_path, monkeypatch, capsys):
    golden = ROOT / "tests" / "data" / "golden" / "wn_a1_nano" / "model.nam"
    (tmp_path / "model.nam").write_bytes(golden.read_bytes())
    monkeypatch.chdir(tmp_path)
    (block,) = blocks(ROOT / "docs" / "streaming.md", "python")
    found = {}
    exec(compile(block, "streaming.md", "exec"), found)
    assert found["wet"].shape == (48_000,)
    assert "player (" in capsys.readouterr().out or not found["player"].is_native


def numbers(cell: str) -> int | None:
    """The first number of a table cell, whose thousands a space may part; None for a dash."""
    found = re.match(r"\d+(?: \d{3})*", cell)
    return int(found[0].replace(" ", "")) if found else None


def test_the_table_of_presets_says_what_they_are():
    page = (ROOT / "docs" / "amp.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()]
    rows = {row[0].strip("`"): row for row in rows if len(row) == 7 and row[0].startswith("`")}
    presets = {path.stem: path for path in (ROOT / "configs" / "model" / "amp").glob("*.json")}
    assert set(rows) == set(presets)
    for name, (_, _, trained, written, field, macs, version) in rows.items():
        net = ModelConfig.model_validate(loads(presets[name].read_text(encoding="utf-8"))).net.build()
        assert numbers(trained) == parameter_count(net), name
        assert numbers(macs) == round(macs_per_sample(net)), name
        assert (numbers(field) or 1) == net.receptive_field, name
        if version != "–":
            assert (numbers(written), version) == (len(net.export_weights()), net.export_version()), name


def test_the_table_of_enhancement_presets_says_what_they_are():
    page = (ROOT / "docs" / "enhancement-nets.md").read_text(encoding="utf-8")
    table = page.partition("## Presets")[2].partition("##")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    rows = {row[0].strip("`"): row for row in rows if len(row) == 5 and row[0].startswith("`")}
    presets = {path.stem: path for path in (ROOT / "configs" / "model" / "enhancement").glob("*.json")}
    assert set(rows) == set(presets)
    for name, (_, weights, evaluations, _, _) in rows.items():
        files = {"model": loads(presets[name].read_text(encoding="utf-8"))}
        net = ModelConfig.model_validate(resolve(files)[0]["model"]).net.build()
        assert numbers(weights) == parameter_count(net), name
        assert numbers(evaluations) == getattr(getattr(net, "sampler", None), "evaluations", 1), name


def mixture_of(cell: str) -> list[dict[str, object]]:
    """``0.7 (600, 400), 0.3 (100)`` as the items of an ``input_cfg``."""
    items = []
    for weight, members in re.findall(r"([\d.]+)(?: \(([^)]*)\))?", cell):
        if members:
            items.append({"type": "group", "weight": float(weight), "input_cfg": mixture_of(members)})
        else:
            items.append({"type": "lhotse", "weight": float(weight)})
    return items


def test_the_table_of_mixtures_is_right():
    page = (ROOT / "docs" / "enhancement-data.md").read_text(encoding="utf-8")
    table = page.partition("| weights | τ per level |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert len(rows) == 12
    for weights, taus, expected in rows:
        members = probabilities(mixture_of(weights), [float(tau) for tau in taus.split(",")])
        found = [member.probability for member in members]
        assert found == pytest.approx([float(value) for value in expected.split(",")], abs=1e-6), weights


@pytest.fixture
def speech_folder(tmp_path, monkeypatch):
    """Six pairs of files in the folders that the pages on enhancement begin with; the current directory."""
    rng = np.random.default_rng(0)
    for kind in ("noisy", "clean"):
        (tmp_path / kind).mkdir()
    for number in range(6):
        clean = 0.3 * np.sin(2 * np.pi * 200 * (number + 1) * np.arange(16_000) / 16_000)
        for kind, samples in (("clean", clean), ("noisy", clean + 0.1 * rng.standard_normal(16_000))):
            soundfile.write(tmp_path / kind / f"{number}.wav", samples, 16_000)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_enhancement_page_runs_from_manifests_to_a_stream(speech_folder, capsys):
    page = ROOT / "docs" / "enhancement.md"
    manifests, played, streamed = blocks(page, "python")
    exec(compile(manifests, str(page), "exec"), {})
    given = {name: (speech_folder / f"{name}.json").read_text() for name in ("train", "val")}
    assert [len(text.splitlines()) for text in given.values()] == [5, 1]
    commands = [shlex.split(line) for line in blocks(page, "")[0].splitlines()]
    assert [command[:2] for command in commands[::3]] == [["nam_like", "init"], ["nam_like", "enhance"]]
    for program, *arguments in commands:
        if program == "nam_full":
            limits = ["--no-show", "--set", "learning.trainer.max_epochs=2"]
            arguments += [*limits, "--set", "learning.trainer.check_val_every_n_epoch=1"]
            assert nam_full(arguments) == 0
        else:
            assert nam_like(arguments) == 0
    written = loads((speech_folder / "my_enhancer" / "data.json").read_text(encoding="utf-8"))
    (shown,) = (value_of(block) for block in blocks(page, "json") if _MARK.match(block)["file"] == "data")
    del written["$schema"]
    assert written == shown
    assert len(list((speech_folder / "rendered").glob("*.wav"))) == 6
    assert {path.name for path in (speech_folder / "enhanced").iterdir()} == {f"{n}.wav" for n in range(6)}
    run = speech_folder / "out" / "latest"
    listed = {"model.ts", "enhanced", "enhancement_1.png", "report.html", "run.json"}
    assert listed <= {path.name for path in run.iterdir()}
    found = {"noisy": torch.randn(2, 1, 5000)}
    with quiet_jit():
        exec(compile(played, str(page), "exec"), found)
        assert found["clean"].shape == (2, 1, 5000)
        net = loads((ROOT / "configs" / "model" / "enhancement" / "mask_rnn_causal.json").read_text())
        causal = ModelConfig.model_validate(resolve({"model": net})[0]["model"]).net.build().eval()
        torch.jit.script(causal).save("causal.ts")
        found = {"noisy": np.zeros((1, 700), np.float32)}
        exec(compile(streamed, str(page), "exec"), found)
    assert found["clean"].shape == (1, 700)


def test_the_page_on_enhancement_data_makes_cuts_and_archives(speech_folder):
    pytest.importorskip("lhotse")
    (manifests, *_) = blocks(ROOT / "docs" / "enhancement.md", "python")
    page = ROOT / "docs" / "enhancement-data.md"
    for block in (manifests, *blocks(page, "python")):
        exec(compile(block, str(page), "exec"), {"__name__": "example"})
    for source in ({"cuts_path": "paired.jsonl.gz"}, {"shar_path": "shar", "force_finite": True}):
        config = {"train": {"type": "cuts", "truncate_duration": 0.5, **source}}
        dataset = init_dataset(config, "train", nx=1)
        assert len(dataset) == 5
        assert dataset[0].signals["target_signal"].shape == (1, 8000)


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_links_lead_somewhere(page):
    broken = []
    for match in _LINK.finditer(_BLOCK.sub("", page.read_text(encoding="utf-8"))):
        target, _, anchor = match["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / target).resolve() if target else page
        known = path.exists() and (not anchor or path.suffix != ".md" or anchor in slugs(path))
        if not known:
            broken.append(match["target"])
    assert not broken
