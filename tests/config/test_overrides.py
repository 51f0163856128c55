import pytest

from nam_like.config.overrides import apply
from nam_like.config.paths import PathError


def files():
    return {
        "data": {"train": [{"ny": 1}, {"ny": 2}]},
        "model": {"lr_scheduler": {"class": "StepLR"}, "a.b": 1},
        "learning": {},
    }


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("learning.trainer.max_epochs=5", ("learning", "trainer", "max_epochs"), 5),
        ("learning.trainer.accelerator=cpu", ("learning", "trainer", "accelerator"), "cpu"),
        ('learning.a="5"', ("learning", "a"), "5"),
        ("learning.a=null", ("learning", "a"), None),
        ("learning.a=true", ("learning", "a"), True),
        ("learning.a=", ("learning", "a"), ""),
        ("learning.a=x=y", ("learning", "a"), "x=y"),
        ('learning.a={"b": [1, 2]}', ("learning", "a"), {"b": [1, 2]}),
        ("data.train[1].ny=8192", ("data", "train", 1, "ny"), 8192),
        ("data.train[0]={}", ("data", "train", 0), {}),
        ('model["a.b"]=2', ("model", "a.b"), 2),
        ("learning.a=NaN", ("learning", "a"), "NaN"),
    ],
)
def test_set(override, path, value):
    values = files()
    assert apply(values, override) == path
    for part in path:
        values = values[part]
    assert values == value
    assert type(values) is type(value)


def test_remove():
    values = files()
    assert apply(values, "~model.lr_scheduler") == ("model", "lr_scheduler")
    assert values["model"] == {"a.b": 1}
    assert apply(values, "~data.train[0]") == ("data", "train", 0)
    assert values["data"] == {"train": [{"ny": 2}]}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lerning.seed=1", "begins with data, model or learning, but got 'lerning.seed'"),
        ("learning=1", "expected a key inside learning to set"),
        ("~learning", "expected a key inside learning to remove"),
        ("learning.seed", "expected path=value or ~path, but got 'learning.seed'"),
        (
            "~model.lr_schedular",
            "expected a key of model, but got 'lr_schedular'; did you mean 'lr_scheduler'?",
        ),
        ("~learning.trainer.max_epochs", "expected a key of learning, but got 'trainer'"),
        ("data.train[2].ny=1", "expected an index below 2, the length of data.train, but got 2"),
        ("data.train.ny=1", "expected data.train to be an object, but got a list and the key 'ny'"),
        ("model.lr_scheduler[0]=1", "expected model.lr_scheduler to be a list, but got an object"),
        ("model.lr_scheduler.class.x=1", "to be an object, but got a single value and the key 'x'"),
        ("learning.a=[1, 2", "but got the end of the file in '[1, 2'"),
        ('learning.a={"b": NaN}', "expected a finite number, but got NaN"),
        ("learning..a=1", "expected a path such as learning.trainer.max_epochs"),
        ("=1", "expected a path such as"),
    ],
)
def test_errors(override, message):
    with pytest.raises(PathError) as raised:
        apply(files(), override)
    assert message in str(raised.value)


def test_in_a_run(files):
    run = files.load("learning.trainer.max_epochs=5", "~model.lr_scheduler", "data.common.delay=-3")
    assert run.learning.trainer_arguments()["max_epochs"] == 5
    assert run.model.lr_scheduler is None
    assert run.data.train[0].config.delay == -3


def test_errors_of_a_run_name_the_override(files):
    with pytest.raises(ValueError, match="errors") as raised:
        files.load("learning.trainer.max_epochs=-5", "data.common.delay=x", "lerning.seed=1", "~data.traim")
    shown = {problem.file: problem for problem in raised.value.problems}
    assert shown["--set learning.trainer.max_epochs=-5"].path == "learning.trainer.max_epochs"
    assert shown["--set data.common.delay=x"].message == 'expected an integer, but got the string "x"'
    assert shown["--set ~data.traim"].message.endswith("did you mean 'train'?")
    assert all(problem.line == 0 for problem in raised.value.problems)
    assert len(shown) == 4
