"""Weights to start from: what is taken, what is told, and what is refused, from archives and checkpoints."""

import io
import json
import logging
import os
import pickle
import tarfile

import pytest
import torch
from amp import load, train, write_capture
from torch import nn

from nam_like.config.errors import ConfigError
from nam_like.config.learning import LearningConfig
from nam_like.train.checkpoints import CheckpointError
from nam_like.train.init_from import pretrained_path, start_from
from nam_like.train.nemo_archive import read_nemo_config, read_nemo_weights
from nam_like.train.prepare import prepare


class Enhancing(nn.Module):
    """The parts of a net by their names, with weights of one value."""

    def __init__(self, value: float, width: int = 3) -> None:
        super().__init__()
        self.estimator = nn.Sequential(nn.Linear(2, width), nn.Linear(width, 1))
        self.head = nn.Linear(1, 1)
        for parameter in self.parameters():
            nn.init.constant_(parameter, value)


def packed(state, *, config="type: predictive\n", zipped=False, folder="./", extra=()):
    """The bytes of an archive; `extra` are further members (TarInfo, bytes)."""
    weights = io.BytesIO()
    torch.save(state, weights)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz" if zipped else "w") as archive:
        members = [("model_config.yaml", config.encode()), ("model_weights.ckpt", weights.getvalue())]
        for info, data in [(tarfile.TarInfo(folder + name), data) for name, data in members] + list(extra):
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def archive(path, state, **options):
    path.write_bytes(packed(state, **options))
    return path


def start(net, resuming=False, folders=(), **keys):
    return start_from(LearningConfig.model_validate(keys), net, folders, resuming)


def values(net):
    return {name: float(parameter.detach().flatten()[0]) for name, parameter in net.named_parameters()}


# -- which weights


@pytest.mark.parametrize("zipped", [False, True])
def test_all_weights_of_an_archive(tmp_path, zipped):
    net = Enhancing(0.0)
    report = start(
        net,
        init_from_nemo_model=str(archive(tmp_path / "a.nemo", Enhancing(1.0).state_dict(), zipped=zipped)),
    )
    assert set(values(net).values()) == {1.0}
    assert len(report.sources[0].loaded) == 6
    assert report.missing == report.sources[0].excluded == report.sources[0].unexpected == ()


def test_a_relative_path_starts_in_the_folders_of_the_files(tmp_path):
    archive(tmp_path / "a.nemo", Enhancing(1.0).state_dict())
    assert start(Enhancing(0.0), folders=(tmp_path,), init_from_nemo_model="a.nemo") is not None
    with pytest.raises(ValueError, match=r"init_from_nemo_model.*gone\.nemo"):
        start(Enhancing(0.0), folders=(tmp_path,), init_from_nemo_model="gone.nemo")


def test_include_and_exclude_choose_by_parts_of_names(tmp_path):
    net = Enhancing(0.0)
    path = archive(tmp_path / "a.nemo", Enhancing(1.0).state_dict())
    entry = {"path": str(path), "include": ["estimator"], "exclude": ["1.weight", "0.bias"]}
    report = start(net, init_from_nemo_model={"speech": entry})
    assert values(net) == {
        "estimator.0.weight": 1.0,
        "estimator.0.bias": 0.0,
        "estimator.1.weight": 0.0,
        "estimator.1.bias": 1.0,
        "head.weight": 0.0,
        "head.bias": 0.0,
    }
    (source,) = report.sources
    assert source.label == "speech"
    assert set(source.loaded) == {"estimator.0.weight", "estimator.1.bias"}
    assert set(source.excluded) == {"estimator.0.bias", "estimator.1.weight", "head.weight", "head.bias"}
    assert set(report.missing) == set(source.excluded)


def test_entries_are_applied_in_order(tmp_path):
    net = Enhancing(0.0)
    first = archive(tmp_path / "a.nemo", Enhancing(1.0).state_dict())
    second = archive(tmp_path / "b.nemo", Enhancing(2.0).state_dict())
    entries = {"a": {"path": str(first)}, "b": {"path": str(second), "include": ["head"]}}
    report = start(net, init_from_nemo_model=entries)
    assert values(net)["estimator.0.weight"] == 1.0
    assert values(net)["head.weight"] == 2.0
    assert [len(source.loaded) for source in report.sources] == [6, 2]
    assert report.missing == ()


def test_one_entry_needs_no_label(tmp_path):
    net = Enhancing(0.0)
    path = archive(tmp_path / "a.nemo", Enhancing(1.0).state_dict())
    start(net, init_from_nemo_model={"path": str(path), "exclude": ["head"]})
    assert values(net)["head.bias"] == 0.0
    assert values(net)["estimator.1.bias"] == 1.0


def test_what_is_not_of_the_net_is_listed_and_what_is_not_given_is_kept(tmp_path, caplog):
    state = Enhancing(1.0).state_dict()
    del state["head.bias"]
    state |= {"loss.weight": torch.ones(1), "encoder.featurizer.window": torch.ones(4)}
    net = Enhancing(0.0)
    with caplog.at_level(logging.INFO, "nam_like"):
        report = start(net, init_from_nemo_model=str(archive(tmp_path / "a.nemo", state)))
    assert report.sources[0].unexpected == ("loss.weight", "encoder.featurizer.window")
    assert report.missing == ("head.bias",)
    assert values(net)["head.bias"] == 0.0
    text = caplog.text
    assert "5 loaded" in text
    assert "unexpected 2: loss.weight, encoder.featurizer.window" in text
    assert "missing    1: head.bias" in text
    assert json.loads(json.dumps(report.as_dict()))["missing"] == ["head.bias"]


def test_nothing_to_load_is_an_error(tmp_path):
    path = archive(tmp_path / "a.nemo", Enhancing(1.0).state_dict())
    with pytest.raises(CheckpointError, match="none can be loaded: 6 excluded"):
        start(Enhancing(0.0), init_from_nemo_model={"m": {"path": str(path), "include": ["estmator"]}})
    other = archive(tmp_path / "b.nemo", nn.Linear(2, 2).state_dict())
    with pytest.raises(CheckpointError, match=r"2 unexpected \(weight, bias\).*estimator\.0\.weight"):
        start(Enhancing(0.0), init_from_nemo_model=str(other))


def test_another_shape_is_an_error_that_names_both_unless_it_is_to_be_ignored(tmp_path):
    path = archive(tmp_path / "a.nemo", Enhancing(1.0, width=5).state_dict())
    net = Enhancing(0.0)
    with pytest.raises(CheckpointError) as caught:
        start(net, init_from_nemo_model=str(path))
    for part in ("estimator.0.weight", "[3, 2]", "[5, 2]", "2 more", "ignore_mismatched"):
        assert part in str(caught.value)
    assert set(values(net).values()) == {0.0}
    report = start(net, init_from_nemo_model={"m": {"path": str(path), "ignore_mismatched": True}})
    (source,) = report.sources
    assert {item.name for item in source.mismatched} == {
        "estimator.0.weight",
        "estimator.0.bias",
        "estimator.1.weight",
    }
    assert set(source.loaded) == {"estimator.1.bias", "head.weight", "head.bias"}
    # What is excluded may have any shape.
    entry = {"path": str(path), "exclude": ["estimator.0", "estimator.1.weight"]}
    assert start(net, init_from_nemo_model={"m": entry}).sources[0].mismatched == ()


def test_two_keys_are_an_error():
    with pytest.raises(ValueError, match="got init_from_nemo_model and init_from_ptl_ckpt"):
        LearningConfig.model_validate({"init_from_nemo_model": "a", "init_from_ptl_ckpt": "b"})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "a path or an object of entries"),
        ([], "a path or an object of entries"),
        ({}, "at least one entry"),
        ({"m": {"pth": "a"}}, "did you mean 'path'"),
        ({"m": {"path": "a", "include": []}}, "include"),
        ({"m": {"path": "a", "include": "head"}}, "include"),
    ],
)
def test_what_the_key_takes(value, message):
    with pytest.raises(ValueError, match=message):
        LearningConfig.model_validate({"init_from_nemo_model": value})


def test_the_canonical_form_reads_as_the_same():
    given = LearningConfig.model_validate({"init_from_nemo_model": {"path": "a.nemo", "exclude": ["head"]}})
    again = LearningConfig.model_validate(given.canonical())
    assert given.init_from_nemo_model == again.init_from_nemo_model
    assert given.canonical()["init_from_nemo_model"] == {"model0": {"path": "a.nemo", "exclude": ["head"]}}
    assert not any(key.startswith("init") for key in LearningConfig.model_validate({}).canonical())


def test_a_run_that_resumes_says_that_it_does_not_start_from_them(caplog):
    net = Enhancing(0.0)
    with caplog.at_level(logging.INFO, "nam_like"):
        assert start(net, resuming=True, init_from_nemo_model="nowhere.nemo") is None
    assert "init_from_nemo_model` is not applied" in caplog.text
    assert start(net) is None


# -- which sources


@pytest.mark.parametrize("prefix", ["", "net.", "_net.", "model."])
def test_checkpoints_of_trainers(tmp_path, prefix):
    state = {prefix + name: value for name, value in Enhancing(1.0).state_dict().items()}
    torch.save({"state_dict": state | {"loss.weight": torch.ones(1)}, "epoch": 3}, tmp_path / "a.ckpt")
    net = Enhancing(0.0)
    report = start(net, init_from_ptl_ckpt=str(tmp_path / "a.ckpt"))
    assert set(values(net).values()) == {1.0}
    assert report.sources[0].unexpected == ("loss.weight",)


def test_names_of_public_models_are_looked_up_at_home_only(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    path = pretrained_path("nvidia/se_small")
    assert path == tmp_path / ".nam_like" / "pretrained" / "nvidia--se_small.nemo"
    with pytest.raises(CheckpointError) as caught:
        start(Enhancing(0.0), init_from_pretrained_model="nvidia/se_small")
    assert str(path) in str(caught.value)
    path.parent.mkdir(parents=True)
    archive(path, Enhancing(1.0).state_dict())
    net = Enhancing(0.0)
    start(net, init_from_pretrained_model={"m": {"name": "nvidia/se_small", "include": ["head"]}})
    assert values(net)["head.weight"] == 1.0
    assert values(net)["estimator.0.bias"] == 0.0


def test_a_name_does_not_lead_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert pretrained_path("../../etc/passwd").parent == tmp_path / ".nam_like" / "pretrained"


def test_the_net_of_a_run_is_where_another_begins(tmp_path):
    first = train(write_capture(tmp_path / "first"), "learning.trainer.max_epochs=1")
    second = write_capture(tmp_path / "second", learning={"init_from_ptl_ckpt": "best.ckpt"})
    (second / "best.ckpt").write_bytes((first.folder / "checkpoints" / "best.ckpt").read_bytes())
    theirs = torch.load(second / "best.ckpt", weights_only=True)["state_dict"]
    net = prepare(load(second), second / "out").net
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, theirs[f"net.{name}"], rtol=0, atol=0)


def test_two_files_that_name_weights_are_an_error(tmp_path):
    folder = write_capture(tmp_path, model={"checkpoint_path": "a"}, learning={"init_from_ptl_ckpt": "b"})
    with pytest.raises(ConfigError, match=r"or model\.checkpoint_path, but got both"):
        load(folder)


# -- archives that are not what they should be


class _Code:
    """A pickle that would run a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_an_archive_with_code_is_not_executed(tmp_path):
    evil = tmp_path / "ran"
    path = archive(tmp_path / "a.nemo", {"head.weight": torch.ones(1, 1), "x": _Code(evil)})
    with pytest.raises(CheckpointError, match="more than plain data"):
        start(Enhancing(0.0), init_from_nemo_model=str(path))
    assert not evil.exists()
    pickle.loads(pickle.dumps(_Code(evil)))  # it would have been
    assert evil.exists()


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        link("model_weights.ckpt", "/etc/passwd", tarfile.SYMTYPE),
        link("other", "model_weights.ckpt", tarfile.SYMTYPE),
        link("other", "/etc/passwd", tarfile.LNKTYPE),
        link("pipe", "", tarfile.FIFOTYPE),
        tarfile.TarInfo("../outside"),
        tarfile.TarInfo("a/../../outside"),
        tarfile.TarInfo("/etc/outside"),
        tarfile.TarInfo("C:/outside"),
        tarfile.TarInfo("..\\outside"),
    ],
    ids=lambda member: member.name,
)
def test_members_that_lead_elsewhere_refuse_the_archive(tmp_path, member):
    path = archive(tmp_path / "a.nemo", Enhancing(1.0).state_dict(), extra=[(member, b"")])
    with pytest.raises(CheckpointError, match="not read"):
        read_nemo_weights(path)
    assert [item.name for item in tmp_path.iterdir()] == ["a.nemo"]


def test_the_weights_are_found_by_their_exact_name_at_the_top(tmp_path):
    state = Enhancing(1.0).state_dict()
    nested = archive(tmp_path / "a.nemo", state, folder="inner/")
    with pytest.raises(CheckpointError, match=r"expected a model_weights\.ckpt"):
        read_nemo_weights(nested)
    decoys = [(tarfile.TarInfo(name), b"no") for name in ("old_model_weights.ckpt", "b/model_weights.ckpt")]
    path = archive(tmp_path / "b.nemo", state, folder="", extra=decoys, config="name: x\n")
    assert set(read_nemo_weights(path)) == set(state)
    assert read_nemo_config(path) == "name: x\n"
    twice = archive(tmp_path / "c.nemo", state, extra=[(tarfile.TarInfo("model_weights.ckpt"), b"no")])
    with pytest.raises(CheckpointError, match="got two"):
        read_nemo_weights(twice)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_size_beyond_reason_is_refused_before_it_is_read(tmp_path, zipped):
    path = archive(tmp_path / "a.nemo", {"head.weight": torch.zeros(100_000)}, zipped=zipped)
    with pytest.raises(CheckpointError, match="at most 300000 bytes"):
        read_nemo_weights(path, largest=300_000)
    assert len(read_nemo_weights(path, largest=1_000_000)) == 1


@pytest.mark.parametrize("data", [b"", b"no archive at all", b"\x1f\x8bnot gzip", b"PK\x03\x04" + bytes(600)])
def test_what_is_no_archive(tmp_path, data):
    (tmp_path / "a.nemo").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"a\.nemo"):
        read_nemo_weights(tmp_path / "a.nemo")


@pytest.mark.parametrize("zipped", [False, True])
def test_an_archive_that_was_cut_off(tmp_path, zipped):
    whole = packed(Enhancing(1.0).state_dict(), zipped=zipped)
    (tmp_path / "a.nemo").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(CheckpointError):
        read_nemo_weights(tmp_path / "a.nemo")


def test_weights_that_are_none(tmp_path):
    with pytest.raises(CheckpointError, match="weights by name"):
        read_nemo_weights(archive(tmp_path / "a.nemo", {"epoch": 3}))
    with pytest.raises(CheckpointError, match="no file"):
        read_nemo_weights(tmp_path / "gone.nemo")
