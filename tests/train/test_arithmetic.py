"""TF32 only where it was asked for; and what runs on a device that has no float64."""

import pytest
import torch
from fakes import Pairs, TinyNet, fit, make_task
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nam_like.models.amp.wavenet import WaveNet
from nam_like.models.amp.wavenet.array import LayerArray
from nam_like.native.gpu import available
from nam_like.train.callbacks.arithmetic import Arithmetic, allow, allowed, remarks

CUDA, MPS, CPU = torch.device("cuda"), torch.device("mps"), torch.device("cpu")


@pytest.fixture(autouse=True)
def _as_before():
    before = allowed()
    yield
    allow(*before)


class OnCuda:
    """As much of a trainer as the callback asks for."""

    class strategy:
        root_device = CUDA

    precision = "32-true"


@pytest.mark.parametrize("tf32", [False, True])
def test_validations_are_exact_and_pytorch_is_left_as_it_was(tf32):
    allow(False, True)
    callback, module = Arithmetic(tf32), torch.nn.Identity()
    callback.on_fit_start(OnCuda, module)
    assert allowed() == (tf32, tf32)
    callback.on_validation_start(OnCuda, module)
    assert allowed() == (False, False)
    callback.on_validation_end(OnCuda, module)
    assert allowed() == (tf32, tf32)
    callback.teardown(OnCuda, module, "fit")
    assert allowed() == (False, True)


def test_other_devices_are_left_alone(tmp_path):
    allow(False, True)
    fit(tmp_path, make_task(), max_epochs=1, callbacks=[Arithmetic()])
    assert allowed() == (False, True)


class Module:
    def __init__(self, runs_on):
        self.net = type("N", (), {"runs_on": lambda _, device: f"{runs_on} on {device}"})()


@pytest.mark.parametrize(
    ("runs_on", "device", "precision", "tf32", "says"),
    [
        ("Triton kernels", CUDA, "32-true", False, []),
        ("plain PyTorch", CUDA, "32-true", True, []),
        ("Triton kernels", CUDA, "32-true", True, ["`tf32` is without effect on the layers"]),
        ("plain PyTorch", CPU, "32-true", True, ["`tf32` is without effect: the device is cpu"]),
        ("plain PyTorch", MPS, "32-true", True, ["`tf32` is without effect: the device is mps"]),
        ("Triton kernels", CUDA, "bf16-mixed", False, ["bf16-mixed is without effect on the layers"]),
        ("plain PyTorch", CUDA, "bf16-mixed", False, []),
        ("Triton kernels", CUDA, "bf16-true", False, ["plain PyTorch plays this net then, not the kernels"]),
        ("plain PyTorch", MPS, "bf16-true", False, ["small updates are lost"]),
        ("Triton kernels", CUDA, "64-true", False, ["plain PyTorch plays this net then, not the kernels"]),
    ],
)
def test_it_says_what_an_option_means_for_the_net(runs_on, device, precision, tf32, says):
    said = remarks(Module(runs_on), device, precision, tf32)
    assert len(said) == len(says)
    assert all(part in line for part, line in zip(says, said, strict=True))


def wavenet():
    array = LayerArray(
        input_size=1,
        condition_size=1,
        channels=2,
        kernel_sizes=[3],
        dilations=[1],
        head_size=1,
        activations=[torch.nn.Tanh()],
    )
    return WaveNet([array])


def test_apple_devices_run_plain_pytorch():
    assert not available.takes(MPS)
    assert available.why_not(MPS) == "there are no kernels for mps"
    line = wavenet().runs_on(MPS)
    assert "Triton" not in line or "no kernels" in line


class NoFloat64(TorchDispatchMode):
    """Refuses what a device without float64 refuses."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, made)) if isinstance(t, torch.Tensor)]
        if any(t.dtype == torch.float64 for t in tensors):
            raise TypeError(f"expected no float64, but {function} has some")
        return made


def test_training_and_validation_need_no_float64_where_there_is_none(monkeypatch):
    """The task's own sums, as they are computed on a device without float64."""
    from nam_like.metrics import base
    from nam_like.train import lightning_module

    for module in (base, lightning_module):
        monkeypatch.setattr(module, "exact_dtype", lambda device: torch.float32)
    task = make_task(net=TinyNet(0.0))
    monkeypatch.setattr(
        type(task), "trainer", type("T", (), {"world_size": 1, "optimizers": (), "val_dataloaders": None})
    )
    monkeypatch.setattr(task, "log_dict", lambda values: None)
    monkeypatch.setattr(task, "val_metrics", torch.nn.ModuleDict())  # have tests of their own
    x, y = Pairs(2)[0]
    batch = x[None], y[None]
    with NoFloat64():
        task.training_step(batch, 0).backward()
        task._log_train_means()
        with torch.no_grad():
            task.validation_step(batch, 0)
        assert task._val_sums.dtype == torch.float32
