import json
import subprocess
import sys

import numpy as np
import pytest

from nam_like.errors import NamFileError
from nam_like.export.nam_read import load_nam, read_envelope

LINEAR = {
    "version": "0.5.4",
    "architecture": "Linear",
    "config": {"receptive_field": 2, "bias": False},
    "weights": [1.0, 0.5],
    "sample_rate": 48000,
}


def write(path, text):
    file = path / "model.nam"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize("version", ["0.5.0", "0.5.4", "0.6.0", "0.7.0", "0.7.1"])
def test_versions_the_engine_plays(version):
    assert load_nam({**LINEAR, "version": version}).version == version


@pytest.mark.parametrize(
    "version",
    ["0.4.9", "0.8.0", "1.0.0", "0.7", "0.7.0rc1", "v0.5.0", "0.5.0\n", "", "-1.5.0", "0.5.٠", "9" * 5000],
)
def test_versions_the_engine_refuses(version):
    with pytest.raises(
        NamFileError, match=r"unsupported version: expected `version` to be from 0\.5\.0 to 0\.7\.0"
    ):
        load_nam({**LINEAR, "version": version})


@pytest.mark.parametrize("key", ["version", "architecture", "config", "weights"])
def test_required_keys(key):
    document = {k: v for k, v in LINEAR.items() if k != key}
    with pytest.raises(NamFileError, match=f'missing required key "{key}"'):
        load_nam(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 0.5}, "`version` to be a string, but got 0.5"),
        ({"architecture": "Sequential"}, "unknown architecture: .* but got 'Sequential'"),
        ({"architecture": None}, "`architecture` to be a string, but got null"),
        ({"config": []}, "`config` to be an object, but got a list of 0"),
        ({"weights": {}}, "`weights` to be a list, but got an object"),
        ({"weights": [1.0, "0.5"]}, r"`weights\[1\]` to be a number, but got '0.5'"),
        ({"weights": [True, 0.5]}, r"`weights\[0\]` to be a number, but got true"),
        ({"weights": [1.0, float("nan")]}, r"`weights\[1\]` is nan"),
        ({"weights": [1e39, 1.0]}, r"finite 32-bit float, but `weights\[0\]` is 1e\+39"),
        ({"weights": [1, 10**400]}, "a number is too large"),
        ({"weights": np.zeros((1, 2))}, "a flat array"),
        ({"weights": [1.0]}, "expected 2 weights for `config`, but the file holds 1"),
        ({"weights": [1.0, 2.0, 3.0]}, "expected 2 weights for `config`, but the file holds 3"),
        ({"sample_rate": None}, "`sample_rate` to be a number in Hz, but got null"),
        ({"sample_rate": "48000"}, "`sample_rate` to be a number, but got '48000'"),
        ({"sample_rate": True}, "`sample_rate` to be a number, but got true"),
        ({"sample_rate": 0}, "above 0 Hz, but got 0"),
        ({"metadata": [1]}, "`metadata` to be an object"),
        ({"metadata": {"loudness": "loud"}}, "`metadata.loudness` to be a number, but got 'loud'"),
        (
            {"config": {"receptive_field": 2.5, "bias": False}},
            "receptive_field` to be an integer, but got 2.5",
        ),
        (
            {"config": {"receptive_field": True, "bias": False}},
            "receptive_field` to be an integer, but got true",
        ),
        ({"config": {"receptive_field": 0, "bias": False}}, "at least 1, but got 0"),
        ({"config": {"receptive_field": 2**31, "bias": False}}, "at most 2147483647, but got 2147483648"),
        ({"config": {"receptive_field": 2, "bias": 0}}, "`config.bias` to be true or false, but got 0"),
        (
            {"config": {"receptive_field": 2, "bias": False, "implementation": "gpu"}},
            "one of auto, direct, fft",
        ),
        ({"config": {"receptive_field": 2, "bias": False, "in_channels": 2}}, "in_channels` to be 1"),
    ],
)
def test_wrong_values_are_named_with_their_place(change, message):
    with pytest.raises(NamFileError, match=message):
        load_nam({**LINEAR, **change})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON: Expecting value at line 1, column 1"),
        ("[1, 2]", "the file` to be a JSON object, but got a list of 2"),
        ('{"version": "0.5.0",\n "weights": [1, }', "is not JSON: .* at line 2"),
        ('{"weights": [NaN]}', "the token NaN"),
        ('{"weights": [-Infinity]}', "the token -Infinity"),
        ('{"version": "0.5.0", "version": "0.5.1"}', 'the key "version" stands twice'),
        (b"\xff\xfe{}", r"not UTF-8 text \(byte 0\)"),
        ("[" * 100000, "nested too deeply"),
        ('{"weights": [' + "9" * 5000 + "]}", "is not JSON"),
    ],
)
def test_files_that_are_not_strict_json(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(NamFileError, match=message) as error:
        load_nam(path)
    assert str(error.value).startswith(str(path))


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "absent.nam", tmp_path):
        with pytest.raises(NamFileError, match="cannot be read"):
            load_nam(path)


def test_what_the_engine_ignores_is_ignored(tmp_path):
    document = {**LINEAR, "extra": 1, "metadata": {"loudness": None, "name": "x", "anything": [1]}}
    model = load_nam(write(tmp_path, "\ufeff" + json.dumps(document)))
    assert model.metadata["name"] == "x"
    assert load_nam({k: v for k, v in LINEAR.items() if k != "sample_rate"}).sample_rate is None
    assert load_nam({**LINEAR, "metadata": None}).metadata == {}


def test_envelope_reads_as_attributes_and_keys(tmp_path):
    envelope = read_envelope(write(tmp_path, json.dumps(LINEAR)))
    assert envelope.sample_rate == envelope["sample_rate"] == 48000.0
    assert set(envelope) == {"version", "architecture", "config", "weights", "sample_rate", "metadata"}
    assert envelope["weights"].dtype == np.float32
    with pytest.raises(KeyError):
        envelope["where"]
    np.testing.assert_array_equal(load_nam(envelope).process(np.ones(2, np.float32)), [1.0, 1.5])


def test_weights_are_rounded_as_the_engine_stores_them():
    model = load_nam({**LINEAR, "weights": [0.1, 0.0]})
    out = model.process(np.ones(1, dtype=np.float64))
    assert out[0] == np.float32(0.1)


def test_reading_needs_neither_torch_nor_scipy():
    code = "import sys, nam_like.export.nam_read as r; assert not {'torch', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
