import subprocess
import sys

import pytest

from nam_like.registry import (
    ACTIVATIONS,
    OPTIMIZERS,
    DuplicateNameError,
    Registry,
    UnknownNameError,
    closest,
    did_you_mean,
    import_path,
    kinds,
    owned_by,
    registry_of,
)


class Thing:
    """A thing.

    More about it.
    """

    class Inner:
        pass

    def method(self):
        pass


@pytest.fixture
def things():
    return Registry("thing")


def test_register_find_unregister(things):
    assert things.register("A", Thing) is Thing
    entry = things.find("A")
    assert (entry.load(), entry.summary, entry.kind, entry.owner) == (
        Thing,
        "A thing.",
        "thing",
        "the running program",
    )
    assert things.names() == ["A"]
    assert "A" in things
    things.unregister("A")
    things.unregister("A")
    assert "A" not in things
    assert things.entries() == []


def test_as_a_decorator(things):
    @things.register("made", summary="s", takes_dict=True, task="t", family="amp")
    def make(config):
        return config

    entry = things.find("made")
    assert entry.load() is make
    assert (entry.summary, entry.takes_dict, entry.task, entry.family) == ("s", True, "t", "amp")


def test_a_second_registration_names_the_first_owner(things):
    with owned_by("extension one.py"):
        things.register("A", Thing)
    with pytest.raises(
        DuplicateNameError, match=r"already registered by extension one\.py .*Thing.*overwrite=True"
    ):
        things.register("A", Thing.Inner)
    things.register("A", Thing.Inner, overwrite=True)
    assert things.find("A").load() is Thing.Inner
    assert things.find("A").owner == "the running program"


def test_targets_by_path_are_imported_late(things):
    things.register("late", "no.such.module:Thing")
    assert things.find("late").target_path == "no.such.module:Thing"
    with pytest.raises(UnknownNameError, match="there is no module 'no'"):
        things.find("late").load()


def test_unknown_names(things):
    things.register("Alpha", Thing)
    with pytest.raises(
        UnknownNameError, match=r"unknown thing 'alhpa'; did you mean 'Alpha'\? \(available: Alpha"
    ):
        things.find("alhpa")
    assert did_you_mean("zzz", ["Alpha"]) == ""
    assert closest("ALPHA", ["Alpha", "Beta"]) == "Alpha"
    assert closest("", ["Alpha"]) is None


def test_namespaces():
    assert OPTIMIZERS.find("LBFGS").target_path == "torch.optim:LBFGS"
    assert ACTIVATIONS.find("GELU").load().__name__ == "GELU"
    with pytest.raises(UnknownNameError):
        OPTIMIZERS.find("lr_scheduler")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("json.dumps", "dumps"),
        ("json:dumps", "dumps"),
        ("json.decoder.JSONDecoder.decode", "decode"),
        ("json.decoder:JSONDecoder.decode", "decode"),
    ],
)
def test_import_path(path, expected):
    assert import_path(path).__name__ == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("json", "expected an import path such as"),
        ("", "expected an import path"),
        ("a..b", "expected an import path"),
        ("a b.c", "expected an import path"),
        (".json.dumps", "expected an import path"),
        ("no_such_module.X", "there is no module 'no_such_module'"),
        ("json.no_such.X", "module 'json' has no 'no_such'"),
        ("json.decoder.NaN.real.x", "'nan' has no 'x'"),
        ("json.dmps", "module 'json' has no 'dmps'; did you mean 'dumps'?"),
        ("json.decoder.JSONDecoder.decod", "'JSONDecoder' has no 'decod'; did you mean 'decode'?"),
    ],
)
def test_import_path_errors(path, message):
    with pytest.raises(UnknownNameError) as raised:
        import_path(path)
    assert message in str(raised.value)


def test_kinds():
    assert registry_of("optimizer") is OPTIMIZERS
    assert {"net", "dataset", "loss", "task", "exporter"} <= set(kinds())
    with pytest.raises(UnknownNameError, match="did you mean 'net'"):
        registry_of("nett")


@pytest.mark.parametrize(
    "module",
    [
        "nam_like",
        "nam_like.registry",
        "nam_like.catalog",
        "nam_like.config.run",
        "nam_like.config.netcheck",
        "nam_like.config.schema",
    ],
)
def test_nothing_heavy_is_imported(module):
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'numpy', 'scipy', 'matplotlib', 'pytorch_lightning'} & set(sys.modules)\n"
        "sys.exit(','.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
