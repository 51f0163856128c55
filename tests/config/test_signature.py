import pytest
import torch
from pydantic import ValidationError

from nam_like.config.base import Config
from nam_like.config.signature import Arguments, config_from_callable, given
from nam_like.errors import UserError


def errors(model, value):
    with pytest.raises(ValidationError) as raised:
        model.model_validate(value)
    return {error["loc"]: error["msg"] for error in raised.value.errors()}


@pytest.mark.parametrize(
    ("target", "value", "loc", "message"),
    [
        (torch.optim.AdamW, {"weight_deacy": 1}, "weight_deacy", "did you mean 'weight_decay'?"),
        (torch.optim.AdamW, {"amsgrad": 1}, "amsgrad", "expected true or false, but got 1"),
        (torch.optim.AdamW, {"lr": "1"}, "lr", "expected a number, but got the string"),
        (torch.optim.AdamW, {"lr": True}, "lr", "expected a number, but got true"),
        (torch.optim.lr_scheduler.ReduceLROnPlateau, {"patince": 3}, "patince", "did you mean 'patience'?"),
        (torch.optim.lr_scheduler.ReduceLROnPlateau, {"mode": "mni"}, "mode", "expected 'max' or 'min'"),
        (torch.optim.lr_scheduler.StepLR, {}, "step_size", "required"),
        (
            torch.optim.lr_scheduler.StepLR,
            {"step_size": 2.5},
            "step_size",
            "expected an integer, but got 2.5",
        ),
    ],
)
def test_torch_signatures(target, value, loc, message):
    model = config_from_callable(target, frozenset({"params", "optimizer"}))
    found = errors(model, value)
    assert list(found) == [(loc,)]
    if "'max' or 'min'" not in message:
        assert message in found[loc,]
    else:
        assert "'min'" in found[loc,]
        assert "'max'" in found[loc,]


def test_values_pass_unchanged():
    def target(
        interval: int | float = 1.0, *, count: int = 1, sizes: tuple[int, ...] = (1,), **more: int
    ) -> None:
        pass

    config = config_from_callable(target).model_validate(
        {"interval": 1, "count": 2.0, "sizes": [1, 2], "x": 3}
    )
    assert given(config) == {"interval": 1, "count": 2, "sizes": [1, 2], "x": 3}
    assert type(config.interval) is int
    assert type(given(config)["count"]) is int
    assert given(config_from_callable(target).model_validate({})) == {}


def test_bounds():
    def target(lr: float = 0.1, epochs: int = 1) -> None:
        pass

    model = config_from_callable(target, bounds=(("lr", (">", 0)), ("epochs", (">=", -1))))
    assert errors(model, {"lr": 0, "epochs": -2}) == {
        ("lr",): "expected more than 0, but got 0",
        ("epochs",): "expected at least -1, but got -2",
    }
    assert given(model.model_validate({"epochs": -1})) == {"epochs": -1}
    assert errors(model, {"lr": "0"}) == {("lr",): 'expected a number, but got the string "0"'}


def test_no_signature():
    with pytest.raises(UserError, match="expected a callable with a readable signature"):
        config_from_callable(type)


def test_base_models_keep_their_fields():
    class Base(Config):
        shuffle: str = "x"

    model = config_from_callable(torch.utils.data.DataLoader, frozenset({"dataset"}), base=Base)
    assert model.model_validate({"shuffle": "y", "batch_size": 2}).shuffle == "y"


def test_probe_speaks_for_the_callable():
    def refuse(arguments):
        if arguments.get("batch_size") == 3:
            raise ValueError("not three")

    read = Arguments("torch.utils.data:DataLoader", frozenset({"dataset"}), probe=refuse).validate
    assert given(read({"batch_size": 2})) == {"batch_size": 2}
    with pytest.raises(ValidationError, match="expected arguments that DataLoader takes, but got: not three"):
        read({"batch_size": 3})
