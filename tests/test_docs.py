"""Examples in the documentation are valid, and its links lead somewhere.

A ```json block whose first line is ``// model.json`` (or data, learning) is a whole file;
``// model.json, in part`` is some of its top-level keys. A ```python block that begins with
``# ~/.nam_like/extensions/`` is an extension; it is loaded before the JSON blocks of its page are read.
"""

import re
import textwrap
from pathlib import Path

import pytest
import torch

from nam_like.cli.estimate import macs_per_sample, parameter_count
from nam_like.config.data import DataConfig
from nam_like.config.jsonc import loads
from nam_like.config.learning import LearningConfig
from nam_like.config.model import ModelConfig
from nam_like.data.build import build_datasets
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
        assert net.receptive_field >= 1
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
