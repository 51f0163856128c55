"""Extensions: where they are found, what they may shadow, and what happens when one fails."""

from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from nam_like import extensions
from nam_like.config.component import component
from nam_like.registry import LOSSES, UnknownNameError

FIND_HOME = extensions.default_folder


@pytest.fixture
def no_extensions_of_the_developer() -> None:
    """These tests set the home folder themselves."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of our own, and its folder of extensions."""
    folder = tmp_path / "home" / ".nam_like" / "extensions"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.delenv(extensions.VARIABLE, raising=False)
    return folder


@pytest.fixture(autouse=True)
def registry_as_before() -> Iterator[None]:
    """Take out what a test registered."""
    before = set(LOSSES.names())
    yield
    for name in set(LOSSES.names()) - before:
        LOSSES.unregister(name)


def write(path: Path, code: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(code), encoding="utf-8")
    return path


def registering(name: str) -> str:
    return f"""
        from nam_like.registry import LOSSES
        @LOSSES.register("{name}")
        def loss(scale: float = 1.0):
            return lambda prediction, target: scale * (prediction - target).abs().mean()
    """


def outcome_of(path: Path | str) -> extensions.Extension:
    return next(item for item in extensions.load_extensions() if item.source == str(path))


def test_files_and_packages_of_the_home_folder_are_loaded_in_order(home: Path) -> None:
    second = write(home / "b.py", registering("Second"))
    package = write(home / "a" / "__init__.py", "from .inner import loss").parent
    write(home / "a" / "inner.py", registering("First"))
    write(home / "README.md", "not Python")
    write(home / "_hidden.py", "raise RuntimeError")
    write(home / "data" / "notes.txt", "a folder, no package")
    sources = [item.source for item in extensions.load_extensions() if item.source.startswith(str(home))]
    assert sources == [str(package), str(second)]
    assert LOSSES.find("First").owner == str(package)
    assert component("loss", {"name": "Second", "config": {"scale": 2}}).config.scale == 2


def test_a_file_named_like_a_standard_module_shadows_nothing_and_runs(home: Path) -> None:
    path = write(home / "json.py", registering("Shadow"))
    assert not outcome_of(path).problem
    assert "Shadow" in LOSSES
    assert sys.modules["json"] is json
    assert str(home) not in sys.path


def test_nothing_is_loaded_twice(home: Path) -> None:
    path = write(home / "count.py", "import os; os.environ['COUNT'] = os.environ.get('COUNT', '') + 'x'")
    os.environ.pop("COUNT", None)
    try:
        outcome_of(path), outcome_of(path)
        assert os.environ["COUNT"] == "x"
    finally:
        del os.environ["COUNT"]


def test_the_variable_names_files_packages_and_folders(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "one.py", registering("FromFile"))
    package = write(tmp_path / "two" / "__init__.py", registering("FromPackage")).parent
    member = write(tmp_path / "folder" / "three.py", registering("FromFolder"))
    missing = tmp_path / "gone.py"
    items = [file, package, member.parent, missing, ""]
    monkeypatch.setenv(extensions.VARIABLE, os.pathsep.join(map(str, items)))
    for path in (file, package, member):
        assert not outcome_of(path).problem
    assert {"FromFile", "FromPackage", "FromFolder"} <= set(LOSSES.names())
    assert "there is no such file" in outcome_of(missing).problem


def test_two_of_one_name_live_side_by_side(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(tmp_path / "a" / "same.py", registering("SameA"))
    second = write(tmp_path / "b" / "same.py", registering("SameB"))
    monkeypatch.setenv(extensions.VARIABLE, f"{first}{os.pathsep}{second}")
    extensions.load_extensions()
    assert {"SameA", "SameB"} <= set(LOSSES.names())


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
def test_a_failure_is_shown_from_its_own_line_and_remembered(
    home: Path, caplog: pytest.LogCaptureFixture, code: str, problem: str
) -> None:
    path = write(home / "broken.py", code)
    with caplog.at_level(logging.WARNING, logger="nam_like"):
        failed = outcome_of(path)
    assert failed.problem.startswith(problem)
    assert str(path) in caplog.text
    assert "importlib" not in failed.details
    assert failed in extensions.loaded()


def test_the_failure_is_mentioned_only_where_its_component_is_missed(home: Path) -> None:
    path = write(home / "mine.py", "import not_installed_anywhere\nLOSSES.register('NeededLoss', print)")
    extensions.load_extensions()
    with pytest.raises(UnknownNameError) as caught:
        LOSSES.find("NeededLoss")
    assert f"the extension {path}" in str(caught.value)
    assert "No module named 'not_installed_anywhere'" in str(caught.value)
    assert component("loss", "MSE").name == "MSE"
    with pytest.raises(UnknownNameError) as other:
        LOSSES.find("Msee")
    assert str(path) not in str(other.value)
    assert "did you mean 'MSE'" in str(other.value)


def test_a_duplicate_name_names_both_owners(home: Path) -> None:
    first = write(home / "a.py", registering("Twice"))
    second = write(home / "b.py", registering("Twice"))
    failed = outcome_of(second)
    assert str(first) in failed.problem
    assert LOSSES.find("Twice").owner == str(first)


def test_no_home_and_no_folder_are_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(extensions.VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert extensions.load_extensions() is not None
    with monkeypatch.context() as patch:
        patch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
        assert FIND_HOME() is None
        assert extensions.load_extensions() is not None


def test_a_file_where_the_folder_should_be_is_reported(home: Path) -> None:
    home.rmdir()
    home.write_text("I am a file", encoding="utf-8")
    assert "expected a folder" in outcome_of(home).problem


def test_another_process_finds_the_module_by_itself(home: Path) -> None:
    """As a data loader's worker does, which unpickles a dataset before anything was loaded there."""
    write(home / "worker.py", "class Mine:\n    value = 41\n")
    extensions.load_extensions()
    name = next(name for name in sys.modules if name.startswith("nam_like.extensions.worker_"))
    packed = pickle.dumps(sys.modules[name].Mine())
    code = f"import pickle; print(pickle.loads({packed!r}).value + 1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "42"


def test_entry_points_are_modules_or_functions(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    write(
        site / "my_plugin.py",
        registering("FromModule") + "\n        def start():\n            raise OSError('no')\n",
    )
    write(
        site / "my_plugin-1.0.dist-info" / "entry_points.txt",
        """\
        [nam_like.extensions]
        b_function = my_plugin:start
        a_module = my_plugin
        """,
    )
    write(
        site / "my_plugin-1.0.dist-info" / "METADATA",
        "Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n",
    )
    monkeypatch.syspath_prepend(str(site))
    assert not outcome_of("entry point a_module (my_plugin)").problem
    assert outcome_of("entry point b_function (my_plugin:start)").problem == "OSError: no"
    assert LOSSES.find("FromModule").owner == "entry point a_module (my_plugin)"
