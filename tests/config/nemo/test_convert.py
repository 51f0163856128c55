"""Where each key of a NeMo file goes."""

from pathlib import Path
from typing import Any

import pytest

from nam_like.config import jsonc
from nam_like.config.nemo.check import check
from nam_like.config.nemo.convert import convert
from nam_like.presets import find_preset
from tests.config.nemo.conftest import HERE, Convert, Refuse, jsons, whole

BLOCKS = sorted((HERE / "blocks").glob("*.yaml"))
WHOLE = sorted((HERE / "whole").glob("*.yaml"))

#: What the page of the predictive example amounts to in our notation.
PREDICTIVE = {
    "data": {
        "type": "manifest",
        "common": {"sample_rate": 16000, "input_key": "noisy_filepath", "target_key": "clean_filepath"},
        "train": {
            "manifest_filepath": "???",
            "audio_duration": 2.0,
            "random_offset": True,
            "normalization_signal": "input_signal",
        },
        "validation": {"manifest_filepath": "???"},
    },
    "model": {
        "net": {
            "name": "PredictiveEnhancer",
            "config": {
                "normalize_input": True,
                "encoder": {
                    "name": "AudioToSpectrogram",
                    "config": {"fft_length": 510, "hop_length": 128, "magnitude_power": 0.5, "scale": 0.33},
                },
                "estimator": {
                    "name": "NCSNpp",
                    "config": {
                        "in_channels": 1,
                        "out_channels": 1,
                        "num_res_blocks": 3,
                        "pad_time_to": 64,
                        "pad_dimension_to": 0,
                    },
                },
                "decoder": {
                    "name": "SpectrogramToAudio",
                    "config": {
                        key: f"${{model.net.config.encoder.config.{key}}}"
                        for key in ("fft_length", "hop_length", "magnitude_power", "scale")
                    },
                },
            },
        },
        "loss": {"name": "MSE"},
        "metrics": {"val": {"sisdr": {"name": "torchmetrics.audio.ScaleInvariantSignalDistortionRatio"}}},
        "optimizer": {"name": "Adam", "config": {"lr": 1e-4, "betas": [0.9, 0.999], "weight_decay": 0.0}},
    },
    "learning": {
        "train_dataloader": {"batch_size": 8, "shuffle": True, "num_workers": 8, "pin_memory": True},
        "val_dataloader": {"batch_size": 8, "shuffle": False, "num_workers": 4, "pin_memory": True},
        "trainer": {"accelerator": "auto", "devices": 1, "max_epochs": 50, "num_sanity_val_steps": 0},
        "skip_nan_grad": False,
    },
}


def test_there_are_all_blocks():
    assert len(BLOCKS) == 11


def test_the_predictive_block_in_our_notation():
    result = convert(HERE / "blocks" / "predictive.yaml")
    assert jsons(result) == PREDICTIVE
    assert result.missing == (
        ("model", "train_ds", "manifest_filepath"),
        ("model", "validation_ds", "manifest_filepath"),
    )
    assert result.filled == ("trainer",)
    assert result.left_out == ("model.num_outputs: the estimator's out_channels",)


def test_comments_say_where_values_come_from():
    draft = convert(HERE / "blocks" / "manifest.yaml").drafts["learning"]
    lines = draft.text().splitlines()
    assert any(line.startswith("// From manifest.yaml") for line in lines)
    above = lines[next(n for n, line in enumerate(lines) if '"train_dataloader"' in line) - 1]
    assert above.strip() == "// model.train_ds"
    assert any("skip_nan_grad" in line and line.endswith("// model.skip_nan_grad") for line in lines)
    assert all(len(line) <= 110 for line in lines)


def test_the_manifest_block():
    result = convert(HERE / "blocks" / "manifest.yaml")
    files = jsons(result)
    assert files["data"]["train"]["min_duration"] == "${data.train.audio_duration}"
    assert files["data"]["common"]["target_channel_selector"] == 0
    assert files["data_test"]["validation"] == {"manifest_filepath": "???"}
    assert files["data_test"]["train"] == files["data"]["train"]
    assert ("model", "test_ds", "manifest_filepath") in result.missing
    assert any("data_test.json" in item for item in result.left_out)
    # It names no net, so it gets that of a preset, and this is said.
    preset = jsonc.loads(find_preset("enhancement/mask_rnn").model.read_text(encoding="utf-8"))
    assert files["model"] == {key: preset[key] for key in ("net", "loss", "metrics", "optimizer")}
    assert result.filled == (
        "model: net, loss, metrics, optimizer of the preset enhancement/mask_rnn",
        "trainer",
    )


def test_parts_that_a_net_lacks_are_filled(converted: Convert):
    encoder = {"_target_": "AudioToSpectrogram", "fft_length": 126, "hop_length": 63}
    result = converted(model(type="mask_based", encoder=encoder, num_outputs=2))
    config = jsons(result)["model"]["net"]["config"]
    assert config["decoder"] == {
        "name": "SpectrogramToAudio",
        "config": {"fft_length": 126, "hop_length": 63},
    }
    assert config["mask_estimator"]["config"]["num_subbands"] == 64
    assert config["mask_estimator"]["config"]["num_outputs"] == 2
    assert {"model.decoder", "model.mask_estimator", "model.mask_processor", "model.loss"} <= set(
        result.filled
    )


@pytest.mark.parametrize("kind", ["predictive", "score_based", "flow_matching", "schroedinger_bridge"])
def test_a_type_alone_is_a_small_net_of_it(converted: Convert, kind: str):
    check(converted(model(type=kind)))


def test_the_augmentation_block():
    result = convert(HERE / "blocks" / "augmentation.yaml")
    data = jsons(result)["data"]
    assert data["type"] == "cuts"
    assert data["train"] == {
        "cuts_path": "???",
        "truncate_duration": 4.0,
        "truncate_offset_type": "random",
        "rir_enabled": True,
        "rir_path": "???",
        "noise_path": "???",
    }
    assert data["validation"] == {"cuts_path": "???"}
    assert [path[-1] for path in result.missing] == ["cuts_path", "rir_path", "noise_path", "cuts_path"]


@pytest.mark.parametrize(
    ("name", "temperature", "weights"),
    [
        ("reweight_scalar", 0.5, [None, 200, 300]),
        ("reweight_list", [1.0, 0.0], [0.7, 0.3]),
        ("reweight_short", [1.0], [None]),
        ("reweight_long", [1.0, 0.5, 0.0], [100]),
        ("task_groups", [1.0, 0.0], [0.7, 0.3]),
    ],
)
def test_mixtures_keep_their_weights_and_temperatures(name: str, temperature: Any, weights: list[Any]):
    files = jsons(convert(HERE / "blocks" / f"{name}.yaml"))
    train = files["data"]["train"]
    assert train["reweight_temperature"] == temperature
    assert [item.get("weight") for item in train["input_cfg"]] == weights
    # They have no end, so an epoch is given a length.
    assert files["learning"]["trainer"]["limit_train_batches"] == 1000


def test_the_nesting_block_has_nothing_to_read():
    result = convert(HERE / "blocks" / "nesting.yaml")
    (first, second) = jsons(result)["data"]["train"]["input_cfg"]
    assert first == second == {"type": "group", "input_cfg": [{"type": "lhotse_shar", "shar_path": "???"}]}
    at = ("model", "train_ds", "input_cfg", 0, "input_cfg", 0, "shar_path")
    assert at in result.missing
    assert any("model.train_ds.input_cfg[0].input_cfg[0].shar_path" in item for item in result.filled)


# -- families


def net_of(name: str) -> dict[str, Any]:
    net: dict[str, Any] = jsons(convert(HERE / "whole" / f"{name}.yaml"))["model"]
    return net


def test_masking():
    model = net_of("masking")
    config = model["net"]["config"]
    assert model["net"]["name"] == "MaskEnhancer"
    assert config["num_outputs"] == 1
    assert config["mask_estimator"]["config"]["num_outputs"] == "${model.net.config.num_outputs}"
    assert config["mask_processor"] == {"name": "MaskReferenceChannel", "config": {"ref_channel": 0}}
    assert model["loss"] == {"name": "SDR", "config": {"scale_invariant": True}}
    assert model["metrics"] == {"val": {"sdr": {"name": "torchmetrics.audio.SignalDistortionRatio"}}}
    assert model["optimizer"]["name"] == "AdamW"
    assert model["optimizer"]["config"]["weight_decay"] == 1e-3


def test_beamforming(refused: Refuse):
    config = net_of("flex_channels")["net"]["config"]
    assert list(config) == [
        "num_outputs",
        "channel_augment",
        "encoder",
        "mask_estimator",
        "mask_processor",
        "decoder",
    ]
    assert config["mask_processor"]["config"] == {
        "filter_type": "pmwf",
        "filter_beta": 0.0,
        "filter_rank": "one",
        "ref_channel": "max_snr",
    }
    values = whole("flex_channels")
    values["model"]["mask_processor"]["ref_hard"] = False
    (problem,) = refused(values)
    assert problem.path == "model.mask_processor.ref_hard"
    assert "expected true" in problem.message


def test_metrics_of_tests_are_said_to_be_left_out():
    result = convert(HERE / "whole" / "masking.yaml")
    assert "model.metrics.test.sdr_ch0: no metric of validations" in result.left_out


def test_score_based():
    model = net_of("score_based")
    config = model["net"]["config"]
    assert model["net"]["name"] == "ScoreBasedEnhancer"
    assert config["process"] == {
        "name": "OrnsteinUhlenbeckVESDE",
        "config": {"stiffness": 1.5, "std_min": 0.05, "std_max": 0.5},
    }
    assert config["sampler"]["name"] == "PredictorCorrectorSampler"
    assert model["loss"]["config"] == {"domain": "encoded"}
    assert model["loss"]["val_loss"] == "val_sisdr"
    assert model["task"] == {"name": "enhancement", "config": {"max_metric_examples": 50}}


def test_schroedinger_bridge():
    model = net_of("schroedinger_bridge")
    config = model["net"]["config"]
    assert model["net"]["name"] == "SchroedingerBridgeEnhancer"
    assert config["process"]["config"] == {"k": 2.6, "c": 0.4, "time_min": 1e-4, "time_max": 1.0}
    assert config["estimator_output"] == "data_prediction"
    assert model["loss"]["terms"] == {
        "encoded": {"name": "MSE", "config": {"domain": "encoded"}},
        "time": {"name": "MAE", "weight": 0.001},
    }
    assert model["metrics"]["val"]["pesq"] == {
        "name": "torchmetrics.audio.PerceptualEvaluationSpeechQuality",
        "config": {"fs": "${data.common.sample_rate}", "mode": "wb"},
    }


def test_flow_matching():
    model = net_of("flow_matching")
    config = model["net"]["config"]
    assert model["net"]["name"] == "FlowMatchingEnhancer"
    assert (config["p_cond"], config["estimator_target"]) == (0.9, "conditional_vector_field")
    assert config["process"] == {
        "name": "OptimalTransportFlow",
        "config": {"sigma_start": 1.0, "sigma_end": 1e-4},
    }
    assert config["sampler"]["config"] == {"num_steps": 20, "time_min": 1e-8, "time_max": 1.0}
    assert model["lr_scheduler"] == {
        "name": "CosineAnnealing",
        "config": {"warmup_steps": 5000, "min_lr": 0},
        "interval": "step",
    }
    hidden = net_of("flow_matching_pretraining")["net"]["config"]["ssl_pretrain_masking"]
    assert hidden == {"name": "MaskPatches", "config": {"patch_size": 10, "mask_fraction": 0.7}}


def test_a_sampler_does_not_contradict_its_net(refused: Refuse):
    values = whole("flow_matching")
    values["model"]["sampler"]["estimator_target"] = "data"
    (problem,) = refused(values)
    assert problem.path == "model.sampler.estimator_target"
    assert "conditional_vector_field" in problem.message


def test_streams_and_manifests_in_one_file():
    files = jsons(convert(HERE / "whole" / "flow_matching_pretraining.yaml"))
    assert files["data"]["train"]["type"] == "cuts"
    assert files["data"]["validation"]["type"] == "manifest"
    assert files["data"]["validation"]["input_key"] == "clean_filepath"
    assert files["learning"]["trainer"]["limit_train_batches"] == 1000
    assert files["learning"]["trainer"]["max_steps"] == 10000


def test_trainer_and_experiment():
    files = jsons(convert(HERE / "whole" / "predictive.yaml"))
    learning = files["learning"]
    trainer = learning["trainer"]
    assert trainer["devices"] == "auto"
    assert trainer["strategy"] == "auto"
    assert (trainer["max_epochs"], trainer["max_steps"], trainer["precision"]) == (-1, -1, 32)
    assert not {"enable_checkpointing", "logger", "gradient_clip_val"} & set(trainer)
    assert learning["ema"] == {"decay": 0.999}
    assert learning["top_k"] == 5
    (stopping,) = learning["callbacks"]
    assert stopping["name"] == "EarlyStopping"
    assert stopping["config"]["monitor"] == "val_sisdr"
    assert stopping["config"]["strict"] is False
    assert files["model"]["loss"]["val_loss"] == "val_sisdr"
    masking = jsons(convert(HERE / "whole" / "masking.yaml"))
    assert "ema" not in masking["learning"]
    assert "callbacks" not in masking["learning"]
    assert "val_loss" not in masking["model"]["loss"]  # the sum of the loss, which is the default


def test_fine_tuning_keys(converted: Convert):
    entry = {"model0": {"path": "a.nemo", "include": ["estimator"]}}
    result = converted({"model": {"optim": {"lr": 1e-3}}, "init_from_nemo_model": entry, "init_strict": True})
    assert jsons(result)["learning"]["init_from_nemo_model"] == entry
    assert any(item.startswith("init_strict") for item in result.left_out)
    empty = converted({"model": {"optim": {"lr": 1e-3}}, "init_from_nemo_model": None, "init_strict": False})
    assert not any(key.startswith("init") for key in jsons(empty)["learning"])


# -- single keys


def model(**keys: Any) -> dict[str, Any]:
    return {"model": keys}


def test_several_validation_manifests_are_several_datasets(converted: Convert):
    split = {"manifest_filepath": ["a.json", "b.json"], "input_key": "noisy"}
    result = converted(model(validation_ds=split, train_ds={"manifest_filepath": ["c.json", "d.json"]}))
    data = jsons(result)["data"]
    assert [item["manifest_filepath"] for item in data["validation"]] == ["a.json", "b.json"]
    assert data["train"]["manifest_filepath"] == ["c.json", "d.json"]


def test_an_item_keeps_its_place_when_it_is_moved_to_common(converted: Convert):
    train = {"manifest_filepath": "a", "input_key": "x", "target_key": "${model.train_ds.input_key}"}
    result = converted(model(train_ds=train, validation_ds={**train, "manifest_filepath": "b"}))
    common = jsons(result)["data"]["common"]
    assert common == {"sample_rate": 16000, "input_key": "x", "target_key": "${data.common.input_key}"}


def test_a_reference_to_what_has_no_place_here_becomes_its_value(converted: Convert):
    content = {"name": "speech", "model": {"train_ds": {"manifest_filepath": "${name}.json"}}}
    assert jsons(converted(content))["data"]["train"]["manifest_filepath"] == "speech.json"
    outputs = whole("predictive")
    outputs["model"]["estimator"]["out_channels"] = "${model.num_outputs}"
    estimator = jsons(converted(outputs))["model"]["net"]["config"]["estimator"]
    assert estimator["config"]["out_channels"] == 1


@pytest.mark.parametrize(
    "target",
    [
        "MSELoss",
        "nemo.collections.audio.losses.MSELoss",
        "nemo.collections.audio.losses.audio.MSELoss",
        "nemo.collections.asr.losses.MSELoss",
    ],
)
def test_only_the_last_part_of_a_target_counts(converted: Convert, target: str):
    assert jsons(converted(model(loss={"_target_": target})))["model"]["loss"] == {"name": "MSE"}


def test_optimizers_and_their_schedules(converted: Convert):
    sched = {
        "name": "WarmupPolicy",
        "warmup_steps": 10,
        "warmup_ratio": None,
        "max_steps": -1,
        "last_epoch": -1,
    }
    files = jsons(converted(model(optim={"name": "novograd", "lr": 0.1, "sched": sched})))
    assert files["model"]["optimizer"] == {"name": "NovoGrad", "config": {"lr": 0.1}}
    assert files["model"]["lr_scheduler"] == {
        "name": "WarmupPolicy",
        "config": {"warmup_steps": 10},
        "interval": "step",
    }
    plateau = {"name": "ReduceLROnPlateau", "monitor": "val_loss", "patience": 3, "reduce_on_plateau": True}
    files = jsons(converted(model(optim={"name": "sgd", "lr": 0.1, "sched": plateau})))
    assert files["model"]["lr_scheduler"] == {
        "name": "ReduceLROnPlateau",
        "config": {"patience": 3},
        "interval": "epoch",
        "monitor": "val_loss",
    }


def test_channel_is_an_option_of_a_metric(converted: Convert):
    metric = {"_target_": "torchmetrics.audio.SignalNoiseRatio", "channel": 1}
    files = jsons(converted(model(metrics={"val": {"snr": metric}})))
    assert files["model"]["metrics"]["val"]["snr"]["config"] == {"channel": 1}


def test_functions_of_metrics_are_those_of_torchmetrics(converted: Convert):
    metric = {
        "_target_": "torchmetrics.audio.PermutationInvariantTraining",
        "metric_func": "os.system",
        "eval_func": "max",
    }
    config = jsons(converted(model(metrics={"val": {"pit": metric}})))["model"]["metrics"]["val"]["pit"][
        "config"
    ]
    assert config == {"metric_func": "system", "eval_func": "max"}


# -- refusals


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        (model(encodr={}), "model.encodr", "did you mean 'encoder'"),
        ({"exp_maneger": {}, "model": {}}, "exp_maneger", "did you mean 'exp_manager'"),
        ({"model": {}, "trainr": {}}, "trainr", "did you mean 'trainer'"),
        (model(type="predictiv"), "model.type", "did you mean 'predictive'"),
        (model(type="bnr"), "model.type", "expected one of predictive"),
        (model(loss={"_target_": "MSELos"}), "model.loss._target_", "did you mean 'MSELoss'"),
        (model(loss={"_target_": "os.system"}), "model.loss._target_", "but got 'os.system'"),
        (model(loss={}), "model.loss._target_", "but got none"),
        (model(loss={"_target_": "MSELoss", "ndim": 5}), "model.loss.ndim", "3 for audio or 4"),
        (
            model(loss={"_target_": "MSELoss"}, loss_time={"_target_": "MAELoss"}),
            "model.loss_time",
            "but got both",
        ),
        (model(optim={"name": "admaw", "lr": 1.0}), "model.optim.name", "did you mean 'adamw'"),
        (model(optim={"name": "adam"}), "model.optim.lr", "but got none"),
        (
            model(optim={"lr": 1.0, "sched": {"name": "CosineAnealing"}}),
            "model.optim.sched.name",
            "did you mean 'CosineAnnealing'",
        ),
        (
            model(metrics={"val": {"x": {"_target_": "torchmetrics.Accuracy"}}}),
            "model.metrics.val.x._target_",
            "metric of torchmetrics.audio",
        ),
        (
            model(metrics={"val": {"loss": {"_target_": "SignalNoiseRatio"}}}),
            "model.metrics.val.loss",
            "always measured",
        ),
        (model(metrics={"vla": {}}), "model.metrics.vla", "did you mean 'val'"),
        (model(train_ds={"sample_rate": 8000}), "model.train_ds.sample_rate", "model's sample_rate, 16000"),
        (model(train_ds={"is_tarred": True}), "model.train_ds.is_tarred", "input_cfg"),
        (model(train_ds=3), "model.train_ds", "expected an object, but got 3"),
        (
            {"model": {}, "exp_manager": {"ema": {"enable": True, "decya": 0.9}}},
            "exp_manager.ema.decya",
            "did you mean 'decay'",
        ),
        (
            {"model": {}, "exp_manager": {"ema": {"enable": True, "every_n_steps": 2}}},
            "exp_manager.ema.every_n_steps",
            "expected 1",
        ),
        (
            {"model": {}, "exp_manager": {"checkpoint_callback_params": {"monitor": "val_sdr"}}},
            "exp_manager.checkpoint_callback_params.monitor",
            "expected a value that is logged",
        ),
        (
            model(type="predictive", num_outputs=2, estimator={"_target_": "X", "out_channels": 1}),
            "model.num_outputs",
            "out_channels, 1, but got 2",
        ),
    ],
)
def test_mistakes_have_their_place_and_what_was_meant(
    refused: Refuse, content: dict[str, Any], path: str, message: str
):
    found = {problem.path: problem for problem in refused(content)}
    assert path in found, found
    assert message in found[path].message
    assert found[path].line > 0


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (model(train_ds={"noise_path": {"_target_": "os.system"}}), "model.train_ds.noise_path._target_"),
        (model(train_ds={"manifest_filepath": "a", "type": "os.system"}), "model.train_ds.type"),
        (model(train_ds={"manifest_filepath": "a", "class_path": "os.system"}), "model.train_ds.class_path"),
        ({"model": {}, "trainer": {"callbacks": [{"name": "os.system"}]}}, "trainer.callbacks"),
        ({"model": {}, "trainer": {"strategy": {"_target_": "os.system"}}}, "trainer.strategy._target_"),
        (
            {"model": {}, "init_from_nemo_model": {"_target_": "os.system"}},
            "init_from_nemo_model._target_",
        ),
        (
            model(optim={"lr": 1.0, "betas": [{"_target_": "os.system"}]}),
            "model.optim.betas[0]._target_",
        ),
    ],
)
def test_nothing_is_imported_by_a_target(refused: Refuse, content: dict[str, Any], path: str):
    assert [problem.path for problem in refused(content)] == [path]


def test_a_net_that_there_is_not_here(tmp_path: Path, refused: Refuse):
    (problem,) = refused((HERE / "whole" / "flow_matching_transformer.yaml").read_text())
    assert problem.path == "model.estimator._target_"
    assert "SpectrogramNoiseConditionalScoreNetworkPlusPlus" in problem.message


def test_all_mistakes_are_told_together(refused: Refuse):
    problems = refused({"model": {"encodr": {}, "optim": {"name": "adma", "lr": 1.0}}, "trainr": {}})
    assert [problem.path for problem in problems] == ["model.encodr", "model.optim.name", "trainr"]
