"""What was made of a NeMo file before the config models of a run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nam_like.config.errors import ConfigError, Problem
from nam_like.config.nemo.check import check
from nam_like.config.nemo.convert import convert
from tests.config.nemo.conftest import HERE, Convert, whole

BLOCKS = sorted((HERE / "blocks").glob("*.yaml"))
ELSEWHERE = {"flow_matching_transformer"}
WHOLE = sorted(path for path in (HERE / "whole").glob("*.yaml") if path.stem not in ELSEWHERE)


@pytest.mark.parametrize("path", [*BLOCKS, *WHOLE], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_files_are_ones_that_a_run_reads(path: Path):
    check(convert(path))


def problems_of(converted: Convert, content: Any, *overrides: str) -> dict[str, Problem]:
    with pytest.raises(ConfigError) as caught:
        check(converted(yaml.safe_dump(content, sort_keys=False), *overrides))
    return {problem.path: problem for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("override", "path", "message"),
    [
        ("model.encoder.hop_lenght=3", "model.encoder.hop_lenght", "did you mean 'hop_length'"),
        ("model.encoder.fft_length=loud", "model.encoder.fft_length", "expected an integer"),
        ("model.estimator.num_res_block=3", "model.estimator.num_res_block", "did you mean 'num_res_blocks'"),
        ("model.train_ds.audio_duraton=3", "model.train_ds.audio_duraton", "did you mean 'audio_duration'"),
        ("model.train_ds.batch_size=0", "model.train_ds.batch_size", "at least 1"),
        ("model.validation_ds.num_workers=-1", "model.validation_ds.num_workers", "at least 0"),
        ("model.train_ds.normalization_signal=input", "model.train_ds.normalization_signal", "input_signal"),
        ("model.optim.betaas=[0, 0]", "model.optim.betaas", "did you mean 'betas'"),
        ("model.optim.lr=-1", "model.optim.lr", "more than 0"),
        ("model.decoder.scale=3.0", "model.decoder.scale", "0.33"),
        ("model.skip_nan_grad=3", "model.skip_nan_grad", "true or false"),
        ("trainer.max_epoch=3", "trainer.max_epoch", "did you mean 'max_epochs'"),
        (
            "exp_manager.early_stopping_callback_params.patince=3",
            "exp_manager.early_stopping_callback_params.patince",
            "did you mean 'patience'",
        ),
        (
            "exp_manager.early_stopping_callback_params.monitor=val_loud",
            "exp_manager.early_stopping_callback_params.monitor",
            "expected a value that is logged",
        ),
        ("exp_manager.ema.decay=1.5", "exp_manager.ema.decay", "less than 1"),
        ("init_from_nemo_model={model0: {pth: a.nemo}}", "init_from_nemo_model.model0.pth", "did you mean"),
    ],
)
def test_what_the_models_refuse_is_told_in_the_words_of_the_yaml(
    converted: Convert, override: str, path: str, message: str
):
    found = problems_of(converted, whole("predictive"), override)
    assert path in found, found
    assert message in found[path].message


def test_the_line_is_that_of_the_yaml(converted: Convert):
    content = whole("predictive")
    content["model"]["estimator"]["num_res_blocks"] = "many"
    (problem,) = problems_of(converted, content).values()
    assert problem.source_line.strip() == "num_res_blocks: many"


def test_values_that_must_still_be_given_are_no_mistakes(converted: Convert):
    content = whole("predictive")
    content["model"]["optim"]["lr"] = "???"
    content["model"]["train_ds"]["audio_duration"] = "???"
    content["model"]["train_ds"]["min_duration"] = "${model.train_ds.audio_duration}"
    result = converted(content)
    check(result)
    assert {("model", "optim", "lr"), ("model", "train_ds", "audio_duration")} <= set(result.missing)


def test_the_test_set_is_checked_too(converted: Convert):
    found = problems_of(converted, whole("masking"), "model.test_ds.max_utts=-1")
    assert list(found) == ["model.test_ds.max_utts"]
