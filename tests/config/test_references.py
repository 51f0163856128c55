import pytest

from nam_like.config.references import resolve


def resolved(**files):
    values, problems = resolve({"data": {}, "model": {}, "learning": {}} | files)
    assert problems == []
    return values


def test_values_are_copied_across_files_and_chains():
    values = resolved(
        data={"rate": "${model.net.rate}", "list": ["${model.sizes[1]}"], "x": [1]},
        model={"net": {"rate": "${ learning.rate }"}, "sizes": [1, {"a": "${data.x}"}]},
        learning={"rate": 48000},
    )["data"]
    assert values == {"rate": 48000, "list": [{"a": [1]}], "x": [1]}


def test_copies_are_independent():
    values = resolved(model={"a": {"b": [1]}, "c": "${model.a}"})["model"]
    values["c"]["b"].append(2)
    assert values["a"] == {"b": [1]}


@pytest.mark.parametrize(
    ("model", "path", "message"),
    [
        ({"a": "${model.a}"}, ("model", "a"), "leads back here"),
        ({"a": "${model.b}", "b": "${model.a}"}, ("model", "a"), "leads back here"),
        ({"a": {"b": "${model.a}"}}, ("model", "a", "b"), "leads back here"),
        (
            {"a": "${model.bb}", "b": 1},
            ("model", "a"),
            "expected a key of model, but got 'bb'; did you mean 'b'?",
        ),
        ({"a": "${modle.b}"}, ("model", "a"), "begins with data, model or learning"),
        ({"a": "${HOME}"}, ("model", "a"), "begins with data, model or learning"),
        ({"a": "x${model.b}", "b": 1}, ("model", "a"), "to be the whole value"),
        ({"a": "${model.b[3]}", "b": [1]}, ("model", "a"), "expected an index below 1"),
        ({"a": "${model.b.c}", "b": [1]}, ("model", "a"), "expected model.b to be an object, but got a list"),
        ({"a": "${}"}, ("model", "a"), "expected a path"),
    ],
)
def test_errors(model, path, message):
    _, problems = resolve({"data": {}, "model": model, "learning": {}})
    assert problems[0][0] == path
    assert message in problems[0][1]


def test_errors_stand_in_the_file_that_refers(files):
    files.write(learning='{\n "seed": "${model.seeed}"\n}')
    with pytest.raises(
        ValueError, match=r"learning\.json:2:10  seed — expected a key of model, but got 'seeed'"
    ) as raised:
        files.load()
    assert len(raised.value.problems) == 1
