"""The documented spellings with the real components, and the shipped configs."""

import json
from pathlib import Path

import pytest

from nam_like.config import jsonc
from nam_like.config.errors import ConfigError
from nam_like.config.run import load_run

CONFIGS = Path(__file__).parents[2] / "configs"
DATA = """{
  "train": {
    "x_path": "x.wav", "y_path": "y.wav", "ny": 8192, "type": "paired",
    "start_seconds": 17.0, "stop_seconds": -9.0
  },
  "validation": {"x_path": "x.wav", "y_path": "y.wav", "ny": null, "start_samples": -432000},
  "common": {
    "delay": 0, "nx": 4093, "allow_unequal_lengths": false, "sample_rate": 48000, "y_preroll": null,
    "input_gain": 0.0, "require_input_pre_silence": 0.4
  },
  "_notes": ["This is ignored."]
}"""
LEARNING = """{
  "train_dataloader": {
    "batch_size": 16, "shuffle": true, "pin_memory": true, "drop_last": true, "num_workers": 0
  },
  "val_dataloader": {},
  "trainer": {
    "accelerator": "gpu", "devices": 1, "max_epochs": 100, "val_check_interval": 0.25,
    "check_val_every_n_epoch": 1, "precision": "32-true", "gradient_clip_val": 1.0
  },
  "trainer_fit_kwargs": {"ckpt_path": "path/to/some/checkpoint.ckpt"},
  "_notes": ["Configuration for training loops and trainer."]
}"""
WAVENET = """{
  "net": {
    "name": "WaveNet",
    "config": {
      "layers_configs": [
        {
          "input_size": 1, "condition_size": 1, "head_size": 8, "channels": 16, "kernel_size": 3,
          "dilations": [1, 2, 4], "activation": "Tanh", "gated": false, "head_bias": false
        },
        {
          "input_size": 16, "condition_size": 1, "head_size": 1, "channels": 8, "kernel_size": 3,
          "dilations": [1, 2, 4], "activation": "Tanh", "gated": false, "head_bias": true
        }
      ],
      "head_scale": 0.02
    }
  },
  "optimizer": {"lr": 0.004},
  "lr_scheduler": {"class": "ReduceLROnPlateau", "kwargs": {"mode": "min", "factor": 0.1, "patience": 10}},
  "loss": {
    "val_loss": "esr", "mask_first": 4096, "pre_emph_mrstft_weight": 0.0002, "pre_emph_mrstft_coef": 0.85
  }
}"""
LSTM = """{
  "net": {
    "name": "LSTM",
    "config": {
      "num_layers": 3, "hidden_size": 18, "train_burn_in": 4096, "train_truncate": 512, "input_size": 1
    }
  },
  "optimizer": {"lr": 0.01},
  "lr_scheduler": {"class": "ExponentialLR", "kwargs": {"gamma": 0.995}},
  "loss": {"val_loss": "mse", "mask_first": 4096, "pre_emph_weight": 1.0, "pre_emph_coef": 0.85}
}"""


def load(folder, data=DATA, model=WAVENET, learning=LEARNING, overrides=()):
    paths = []
    for name, text in {"data": data, "model": model, "learning": learning}.items():
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(text, encoding="utf-8")
    return load_run(*paths, overrides=overrides)


@pytest.mark.parametrize("model", [WAVENET, LSTM])
def test_the_documented_spelling(tmp_path, model):
    run = load(tmp_path, model=model)
    first = run.canonical()
    again = load(tmp_path, *(json.dumps(first[name]) for name in ("data", "model", "learning")))
    assert again.canonical() == first


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("*/amp/*.json")), ids=lambda path: f"{path.parts[-3]}/{path.stem}"
)
def test_shipped_configs_round_trip(tmp_path, path):
    texts = {path.parts[-3]: path.read_text(encoding="utf-8")}
    first = load(tmp_path, **texts).canonical()
    again = load(tmp_path, *(json.dumps(first[name]) for name in ("data", "model", "learning")))
    assert again.canonical() == first


@pytest.mark.parametrize(
    ("name", "old", "new", "path", "message"),
    [
        ("model", '"channels": 16', '"chanels": 16', "layers_configs[0].chanels", "did you mean 'channels'?"),
        (
            "model",
            '"kernel_size": 3',
            '"kernel_size": "3"',
            "layers_configs[0].kernel_size",
            'the string "3"',
        ),
        ("model", '"Tanh"', '"Tahn"', "layers_configs[0].activation", "did you mean 'Tanh'?"),
        (
            "model",
            '"gated": false',
            '"gated": 0',
            "layers_configs[0].gated",
            "expected true or false, but got 0",
        ),
        ("model", '"WaveNet"', '"WaveNte"', "net.name", "did you mean 'WaveNet'?"),
        ("model", '"patience"', '"patince"', "lr_scheduler.kwargs.patince", "did you mean 'patience'?"),
        ("model", '"dilations": [1, 2, 4]', '"dilations": []', "layers_configs[0].dilations", "expected"),
        ("model", '"head_scale": 0.02', '"head_scale": NaN', "", "expected a finite number, but got NaN"),
        ("data", '"ny": 8192', '"ny": 0', "train.ny", "expected more than 0, but got 0"),
        ("data", '"ny": 8192', '"ny": true', "train.ny", "expected an integer, but got true"),
        ("data", '"sample_rate": 48000', '"sample_rate": "48k"', "common.sample_rate", 'the string "48k"'),
        ("data", '"delay": 0', '"delya": 0', "common.delya", "did you mean 'delay'?"),
        ("learning", '"max_epochs"', '"max_epoch"', "trainer.max_epoch", "did you mean 'max_epochs'?"),
        ("learning", '"ckpt_path"', '"ckptpath"', "trainer_fit_kwargs.ckptpath", "did you mean 'ckpt_path'?"),
        ("learning", '"drop_last"', '"drop_lst"', "train_dataloader.drop_lst", "did you mean 'drop_last'?"),
    ],
)
def test_one_mistake_gives_one_clear_error(tmp_path, name, old, new, path, message):
    texts = {"data": DATA, "model": WAVENET, "learning": LEARNING}
    at = texts[name].index(old)
    texts[name] = texts[name].replace(old, new, 1)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, **texts)
    (problem,) = raised.value.problems
    assert problem.path.endswith(path)
    assert message in problem.message
    assert problem.line == texts[name].count("\n", 0, at) + 1
    assert jsonc.blank(texts[name]).split("\n")[problem.line - 1] == problem.source_line
