import json
import sys
from pathlib import Path

import pytest

from nam_like.config.document import Document
from nam_like.config.errors import ConfigError
from nam_like.config.run import load_run

from nam_like.registry import NETS  # isort: skip


def failures(files, *overrides):
    with pytest.raises(ConfigError) as raised:
        files.load(*overrides)
    return raised.value


def places(error):
    return [(Path(problem.file).name, problem.line, problem.path) for problem in error.problems]


def test_a_good_run(files):
    run = files.load()
    assert run.model.net.build().head_scale == 0.02
    assert run.folders == (files.folder,)
    assert run.sources["data"].path == files.folder / "data.json"


def test_the_canonical_dump_is_a_fixed_point(files):
    first = files.load("learning.trainer.max_epochs=7").canonical()
    files.write(**json.loads(json.dumps(first)))
    assert files.load().canonical() == first
    assert first["learning"]["trainer"]["max_epochs"] == 7


def test_notes_and_schema_are_allowed_everywhere(files):
    files.write(
        data="""{
          "$schema": "../schema/data.schema.json", "_notes": ["a"],
          "train": {"_comments": "b", "ny": 64}, "validation": [{"_x": 1}],
          "common": {"x_path": "x.wav", "y_path": "y.wav", "_y": null},
          "joint": [{"name": "normalize_output", "_notes": "c", "config": {"_n": 1}}], "metadata": {"_m": 1}
        }""",
        model="""{
          "$schema": "x", "_notes": 1,
          "net": {
            "_a": 1, "name": "FakeNet", "config": {"_b": 2, "layers_configs": [{"channels": 1, "_c": 3}]}
          },
          "optimizer": {"lr": 1e-3, "_d": 1},
          "lr_scheduler": {"class": "ExponentialLR", "_e": 1, "kwargs": {"gamma": 0.9, "_f": 1}},
          "loss": {"_g": 1, "custom_losses": {"_none": 3, "a": {"name": "MSE", "_h": 1}}}
        }""",
        learning="""{
          "$schema": "x", "_n": 1, "trainer": {"_a": 1}, "train_dataloader": {"_b": 1},
          "callbacks": [{"_c": 1, "name": "EarlyStopping", "config": {"monitor": "ESR", "_d": 1}}]
        }""",
    )
    dump = json.dumps(files.load().canonical())
    assert '"_' not in dump
    assert "$schema" not in dump


def test_mistakes_of_all_files_come_together(files):
    files.write(
        data='{"train": {"ny": "8192"},\n "validation": {},\n'
        ' "common": {"x_path": "x", "y_path": "y", "dealy": 1}}',
        model='{"net": {"name": "FakeNet",\n "config": {"layers_configs": [{"chanels": 3}]}},\n'
        ' "optimizer": {"lr": 0}}',
        learning='{"trainer": {\n "max_epoch": 3}\n',
    )
    error = failures(files)
    assert places(error) == [
        ("data.json", 1, "train.ny"),
        ("data.json", 3, "common.dealy"),
        ("model.json", 2, "net.config.layers_configs[0].chanels"),
        ("model.json", 3, "optimizer.lr"),
        ("learning.json", 2, ""),
    ]
    assert error.render().endswith("\n5 errors in 3 files")
    assert error.problems[2].column == 33
    assert error.problems[2].span == len('"chanels"')


def test_nothing_is_written(files):
    (files.folder / "own.py").write_text(
        "class Net:\n    def __init__(self, size: int = 1):\n        self.size = size\n"
    )
    files.write(model={"net": {"name": "own.Net", "config": {"size": 2}}, "optimizer": {}})
    before = sorted(files.folder.rglob("*"))
    files.load()
    failures(files, "model.nett=1")
    assert sorted(files.folder.rglob("*")) == before


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ConfigError) as raised:
        load_run(tmp_path / "a.json", tmp_path, tmp_path / "no" / "c.json")
    assert len(raised.value.problems) == 3
    assert "there is no file" in raised.value.render()
    assert "cannot read" in raised.value.render()


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '"x"', "{", "\ufeff"])
def test_files_that_hold_no_object(files, text):
    for name in ("data", "model", "learning"):
        files.write(**{name: text})
    error = failures(files)
    assert len(error.problems) == 3
    assert all(problem.line == 1 and "expected" in problem.message for problem in error.problems)


def test_byte_order_mark_and_windows_line_ends(files):
    path = files.folder / "learning.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{\r\n "seed": 3,\r\n "sed": 4\r\n}')
    error = failures(files)
    assert places(error) == [("learning.json", 3, "sed")]
    assert error.problems[0].source_line == ' "sed": 4'
    path.write_bytes(b'{"seed": \xff}')
    assert failures(files).problems[0].message == "expected text in UTF-8, but got the byte 0xff"


class TestFoldersAreImportable:
    def module(self, folder, name, size, extra=""):
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(
            f"{extra}\nclass Net:\n    def __init__(self, size: int = {size}):\n        self.size = size\n"
        )

    def test_only_while_the_run_is_read(self, files):
        self.module(files.folder, "own_net_a", 3)
        files.write(model={"net": "own_net_a.Net", "optimizer": {}})
        path = list(sys.path)
        assert files.load().model.net.build().size == 3
        assert sys.path == path

    def test_files_shadow_nothing(self, files):
        (files.folder / "json.py").write_text("raise RuntimeError")
        (files.folder / "torch.py").write_text("raise RuntimeError")
        files.load()

    def test_two_folders_with_one_module_name(self, files, tmp_path):
        for size, name in enumerate(("first", "second")):
            self.module(tmp_path / name, "own_net_b", size)
            files.folder = tmp_path / name
            files.write(
                data='{"train": {"x_path": "x", "y_path": "y"}, "validation": {"x_path": "x", "y_path": "y"}}'
            )
            files.write(model={"net": "own_net_b.Net", "optimizer": {}}, learning={})
            assert files.load().model.net.build().size == size

    @pytest.mark.parametrize(
        ("extra", "message"),
        [
            ("raise OSError('no')", "fails with OSError: no"),
            ("import no_such_thing_at_all", "needs 'no_such_thing_at_all', which is not installed"),
            ("x = = 3", "fails with SyntaxError"),
            ("raise SystemExit(3)", "fails with SystemExit: 3"),
        ],
    )
    def test_what_a_module_raises_is_a_config_error(self, files, extra, message):
        self.module(files.folder, "own_net_c", 1, extra)
        files.write(model={"net": {"name": "own_net_c.Net"}, "optimizer": {}})
        error = failures(files)
        assert places(error)[0][2] == "net.name"
        assert message in error.problems[0].message

    def test_arguments_of_a_class_without_model_are_checked(self, files):
        self.module(files.folder, "own_net_d", 1)
        files.write(model={"net": {"name": "own_net_d.Net", "config": {"sze": 1}}, "optimizer": {}})
        assert "did you mean 'size'?" in failures(files).problems[0].message

    def test_spellings_of_initializers(self, files):
        (files.folder / "own_net_e.py").write_text(
            "class Net:\n"
            "    def __init__(self, size):\n        self.size = size\n"
            "    @classmethod\n"
            "    def init_from_config(cls, config):\n        return cls(config['s'])\n"
            "def make(net_config):\n    return Net(net_config['s'])\n"
        )
        for name in ("own_net_e.Net", "own_net_e.make", "own_net_e.Net.init_from_config", "own_net_e:make"):
            files.write(model={"net": {"name": name, "config": {"s": 4}}, "optimizer": {}})
            assert files.load().model.net.build().size == 4


def test_errors_found_later_can_be_placed(files):
    run = files.load("data.common.delay=3")
    error = run.error("data", ("train", "ny"), "expected `ny` to be at most 4, but got 8192")
    assert places(error) == [("data.json", 3, "train.ny")]
    assert run.error("data", ("common", "delay"), "m").problems[0].file == "--set data.common.delay=3"


def test_registered_fakes_are_used():
    assert "FakeNet" in NETS


def test_mistakes_found_in_the_recordings_are_placed_in_the_data_json(tmp_path: Path) -> None:
    component = {"name": "paired", "config": {"y_path": "c.wav"}}
    value = {"common": {"x_path": "a.wav", "ny": 9}, "train": [{"y_path": "b.wav"}, component]}
    document = Document("data", tmp_path / "data.json", json.dumps(value), value)
    assert document.key_at_fault(("train", 0), "expected `ny` to be at most 3, but got 9") == ("common", "ny")
    assert document.key_at_fault(("train", 0), "/x/b.wav: expected audio") == ("train", 0, "y_path")
    assert document.key_at_fault(("train", 1), "expected `y_path` to be") == ("train", 1, "config", "y_path")
    assert document.key_at_fault(("train", 1), "expected something else") == ("train", 1)
