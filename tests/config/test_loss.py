import pytest
from pydantic import ValidationError

from nam_like.config.loss import LossConfig


def terms(value):
    """Label → (name, weight, config)."""
    loss = LossConfig.model_validate(value)
    dump = loss.canonical()
    assert LossConfig.model_validate(dump).canonical() == dump
    return {label: (term["name"], term["weight"], term["config"]) for label, term in dump["terms"].items()}


MSE = {"mse": ("MSE", 1.0, {})}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, MSE),
        ({"val_loss": "esr", "mask_first": 8192}, MSE),
        ({"mse_weight": 0.5}, {"mse": ("MSE", 0.5, {})}),
        ({"mse_weight": None}, MSE),
        ({"fourier": True}, {"fourier": ("Fourier", 1.0, {})}),
        ({"fourier": True, "mse_weight": 2}, {"fourier": ("Fourier", 2.0, {})}),
        ({"dc_weight": 0.25}, MSE | {"dc": ("DC", 0.25, {})}),
        ({"dc_weight": 0}, MSE),
        (
            {"pre_emph_weight": 1.0, "pre_emph_coef": 0.85},
            MSE | {"pre_emph_mse": ("MSE", 1.0, {"pre_emphasis": 0.85})},
        ),
        ({"mrstft_weight": 2e-4, "mse_weight": 0}, {"mrstft": ("MRSTFT", 2e-4, {})}),
        (
            {"pre_emph_mrstft_weight": 2e-4, "pre_emph_mrstft_coef": 0.85},
            MSE | {"pre_emph_mrstft": ("MRSTFT", 2e-4, {"pre_emphasis": 0.85})},
        ),
        (
            {"pre_emph_mrstft_weight": 2e-4, "pre_emph_mrstft_coef": None},
            MSE | {"pre_emph_mrstft": ("MRSTFT", 2e-4, {})},
        ),
        ({"pre_emph_mrstft_weight": None, "pre_emph_mrstft_coef": 0.85}, MSE),
        (
            {
                "custom_losses": {
                    "mine": {"name": "torch.nn.L1Loss", "kwargs": {"reduction": "sum"}, "weight": 3}
                }
            },
            MSE | {"mine": ("torch.nn.L1Loss", 3.0, {"reduction": "sum"})},
        ),
        ({"name": "ESR"}, {"esr": ("ESR", 1.0, {})}),
        ({"name": "ESR", "weight": 2, "val_loss": "esr"}, {"esr": ("ESR", 2.0, {})}),
        ("ESR", {"esr": ("ESR", 1.0, {})}),
        (
            {
                "terms": {"a": {"name": "MSE"}, "b": {"class": "DC", "kwargs": {}, "weight": 0}},
                "val_loss": "b",
            },
            {"a": ("MSE", 1.0, {}), "b": ("DC", 0.0, {})},
        ),
    ],
)
def test_spellings(value, expected):
    assert terms(value) == expected


def test_the_other_keys_survive():
    loss = LossConfig.model_validate({"val_loss": "esr", "mask_first": 12, "dc_weight": 1})
    assert (loss.val_loss, loss.mask_first) == ("esr", 12)
    assert LossConfig.model_validate(loss.canonical()).mask_first == 12
    assert LossConfig.model_validate({"name": "MSE", "mask_first": 5}).mask_first == 5


@pytest.mark.parametrize(
    ("value", "loc", "message"),
    [
        ({"mrstft_wieght": 1}, ("mrstft_wieght",), "did you mean 'mrstft_weight'?"),
        ({"mse_weight": -1}, ("mse_weight",), "greater than or equal to 0"),
        ({"mask_first": 1.5}, ("mask_first",), "expected an integer, but got 1.5"),
        ({"fourier": 1}, ("fourier",), "expected true or false, but got 1"),
        ({"pre_emph_weight": 1.0}, ("pre_emph_weight",), "expected `pre_emph_coef` beside `pre_emph_weight`"),
        ({"pre_emph_coef": 0.85}, ("pre_emph_coef",), "expected `pre_emph_weight` beside `pre_emph_coef`"),
        ({"pre_emph_mrstft_coef": 0.85}, ("pre_emph_mrstft_coef",), "expected `pre_emph_mrstft_weight`"),
        (
            {"pre_emph_mrstft_coef": 2, "pre_emph_mrstft_weight": 1},
            ("pre_emph_mrstft_coef",),
            "less than or equal",
        ),
        ({"custom_losses": {"a": {"name": "MSEE"}}}, ("custom_losses", "a", "name"), "did you mean 'MSE'?"),
        (
            {"custom_losses": {"a": {"name": "MSE", "weight": "1"}}},
            ("custom_losses", "a", "weight"),
            "expected a number",
        ),
        ({"terms": {}}, (), "expected at least one loss term with a weight above 0"),
        ({"mse_weight": 0}, ("terms",), "expected at least one loss term"),
        ({"terms": {"a": {"name": "MSE", "weight": 0}}}, ("terms",), "expected at least one loss term"),
        ({"terms": {"a": "MSE"}, "mse_weight": 1}, ("mse_weight",), "expected `terms` or flat keys"),
        ({"terms": {"a": {"nme": "MSE"}}}, ("terms", "a"), "did you mean 'name'?"),
        ({"custom_losses": {"mse": "ESR"}}, ("custom_losses", "mse"), "expected a label that is not taken"),
        ({"terms": {"total": "MSE"}}, ("terms", "total"), "expected another label than 'total'"),
        ({"terms": {"loss": "MSE"}}, ("terms", "loss"), "expected another label than 'loss'"),
        ({"terms": {"a": "MSE"}, "vall_loss": "a"}, ("vall_loss",), "did you mean 'val_loss'?"),
        ({"name": "MSE", "wieght": 1}, ("wieght",), "but got 'wieght'; did you mean 'weight'?"),
        (3, (), "should be"),
    ],
)
def test_errors(value, loc, message):
    with pytest.raises(ValidationError) as raised:
        LossConfig.model_validate(value)
    (error,) = raised.value.errors()
    assert error["loc"] == (loc if loc != ("terms",) or "mse_weight" not in value else ())
    assert message in error["msg"]


@pytest.mark.parametrize(
    ("value", "metrics", "message"),
    [
        ({"val_loss": "mse"}, (), None),
        ({"val_loss": "esr"}, (), None),
        ({"val_loss": "dc", "dc_weight": 1}, (), None),
        ({"val_loss": "total"}, (), None),
        ({"val_loss": "SISDR"}, ("SISDR",), None),
        ({"fourier": True, "val_loss": "mse"}, (), None),
        ({"val_loss": "ESR"}, (), "but got 'ESR'; did you mean 'esr'?"),
        (
            {"val_loss": "dc"},
            (),
            "expected `val_loss` to be mse, esr or total, which this loss has, but got 'dc'",
        ),
        ({"val_loss": "mrstf", "mrstft_weight": 1}, (), "did you mean 'mrstft'?"),
    ],
)
def test_val_loss_needs_its_term(value, metrics, message):
    loss = LossConfig.model_validate(value)
    if message is None:
        loss.check_val_loss(metrics)
        return
    with pytest.raises(ValidationError) as raised:
        loss.check_val_loss(metrics)
    assert raised.value.errors()[0]["loc"] == ("val_loss",)
    assert message in raised.value.errors()[0]["msg"]
