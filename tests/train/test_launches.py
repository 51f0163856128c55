"""Steps that are done several at a time: what comes out is what the ordinary loop gives, bit by bit."""

import csv
import importlib
import logging

import pytest
import torch
from fakes import Pairs, TinyNet, fit, make_task, make_trainer, weights
from pytorch_lightning.callbacks import Callback, GradientAccumulationScheduler, LambdaCallback
from test_curriculum import ONE_CYCLE
from test_curriculum import fit as fit_stages

from nam_like.data.loader import make_dataloader
from nam_like.train.callbacks.ema import Ema
from nam_like.train.callbacks.evaluated import TRAINED
from nam_like.train.callbacks.launches import StepsPerLaunch
from nam_like.train.callbacks.stop import SignalFlag, StopOnSignal
from nam_like.train.checkpoints import load_checkpoint
from nam_like.train.errors import Interrupted
from nam_like.train.step_queue import WARM_UP, Clipping, StepProgram, StepQueue

EXPONENTIAL = {"scheduler": {"name": "ExponentialLR", "config": {"gamma": 0.8}}}
PLATEAU = {
    "scheduler": {"name": "ReduceLROnPlateau", "config": {"patience": 0, "factor": 0.5, "threshold": 0.5}},
    "monitor": "val_loss",
}


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def same_run(ours, theirs, tmp_path):
    """Weights, everything logged, and the last checkpoint's optimizer and schedules."""
    assert torch.equal(weights(ours), weights(theirs))
    assert rows(tmp_path / "queued") == rows(tmp_path / "plain")
    a, b = (load_checkpoint(tmp_path / name / "checkpoints/last.ckpt") for name in ("queued", "plain"))
    for key in ("global_step", "epoch", "lr_schedulers"):
        assert a[key] == b[key]
    (a_state,), (b_state,) = a["optimizer_states"], b["optimizer_states"]
    assert a_state["param_groups"] == b_state["param_groups"]
    for index, state in b_state["state"].items():
        for name, value in state.items():
            assert torch.equal(torch.as_tensor(a_state["state"][index][name]), torch.as_tensor(value))
    for key in set(b["state_dict"]):
        assert torch.equal(a["state_dict"][key], b["state_dict"][key])
    assert (TRAINED in a) == (TRAINED in b)


def both(tmp_path, size, callbacks=lambda: [], task=make_task, fit=fit, **options):
    plain = task()  # seeds the generators, too
    fit(tmp_path / "plain", plain, callbacks=callbacks(), **options)
    queued = task()
    trainer, _ = fit(tmp_path / "queued", queued, callbacks=[*callbacks(), StepsPerLaunch(size)], **options)
    same_run(queued, plain, tmp_path)
    assert queued.queue is None
    return trainer


@pytest.fixture
def pushed(monkeypatch):
    """How many steps each launch had."""
    counts, flush = [], StepQueue.flush

    def counted(queue):
        if queue.waiting:
            counts.append(queue.waiting)
        flush(queue)

    monkeypatch.setattr(StepQueue, "flush", counted)
    return counts


@pytest.mark.parametrize("size", [2, 3, 8])
def test_weights_losses_and_checkpoints_are_those_of_the_ordinary_loop(tmp_path, size, pushed):
    trainer = both(tmp_path, size, max_epochs=3, items=28)
    assert trainer.global_step == 21 == sum(pushed)
    assert pushed[:WARM_UP] == [1] * WARM_UP
    assert max(pushed) == min(size, 7)


@pytest.mark.parametrize("schedule", [EXPONENTIAL, PLATEAU, ONE_CYCLE], ids=["exp", "plateau", "one_cycle"])
@pytest.mark.parametrize("optimizer", ["Adam", "ScheduleFreeAdamW", "SGD", "Muon"])
def test_with_schedules(tmp_path, schedule, optimizer):
    """OneCycleLR changes Adam's betas or the momentum from step to step, too."""
    config = dict(schedule)
    if optimizer in ("ScheduleFreeAdamW", "SGD", "Muon") and "OneCycleLR" in str(config):
        config["scheduler"] = {"name": "OneCycleLR", "config": {"max_lr": 0.02, "cycle_momentum": False}}
    both(tmp_path, 4, task=lambda: make_task(optimizer=optimizer, **config), max_epochs=2, items=28)


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_clip_val": 0.05},
        {"gradient_clip_val": 0.001, "gradient_clip_algorithm": "value"},
        {"val_check_interval": 0.34},
        {"check_val_every_n_epoch": 2},
        {"limit_train_batches": 5},
        {"max_steps": 10},
        {"precision": "bf16-mixed"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_with_what_the_trainer_offers(tmp_path, options, pushed):
    both(tmp_path, 4, items=28, **{"max_epochs": 2, **options})
    assert max(pushed) > 1


def test_averages_follow_each_step(tmp_path):
    both(tmp_path, 4, callbacks=lambda: [Ema(0.8)], max_epochs=2, items=28)


def test_batches_of_a_curriculum(tmp_path, pushed):
    """Stages change the shape of a batch; each shape warms up by itself."""
    both(tmp_path, 3, fit=fit_stages, task=lambda: make_task(**ONE_CYCLE))
    assert sum(pushed) == 18
    assert 3 in pushed


def test_a_last_batch_of_another_size(tmp_path, pushed):
    both(tmp_path, 4, items=22, max_epochs=3)
    assert sum(pushed) == 18


def test_running_statistics(tmp_path):
    class Normed(TinyNet):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Sequential(torch.nn.Conv1d(1, 4, 3), torch.nn.BatchNorm1d(4))

    def task():
        torch.manual_seed(0)
        return make_task(net=Normed())

    both(tmp_path, 4, items=28, task=task)


@pytest.mark.parametrize("at", [1, 5, 6])
def test_a_run_interrupted_between_launches_goes_on_bit_by_bit(tmp_path, at):
    options = {"items": 28, "max_epochs": 2}
    whole = make_task()
    fit(tmp_path / "whole", whole, callbacks=[Ema(0.9)], **options)

    first, flag = make_task(), SignalFlag()
    trainer, checkpoints = make_trainer(
        tmp_path / "first", callbacks=[Ema(0.9), StepsPerLaunch(4)], max_epochs=2
    )
    trainer.callbacks.append(StopOnSignal(flag, checkpoints))

    class Watched(Pairs):
        count = 0

        def __getitem__(self, index):
            Watched.count += 1
            if Watched.count == 4 * at + 1:
                flag.received = "SIGTERM"
            return super().__getitem__(index)

    train = make_dataloader(Watched(28), {"batch_size": 4, "shuffle": True}, train=True, seed=3)
    with pytest.raises(Interrupted):
        trainer.fit(first, train, make_dataloader(Pairs(3, seed=1), {}, train=False))
    assert first.queue is None

    second = make_task()
    folder = checkpoints.folder
    callbacks = [Ema(0.9), StepsPerLaunch(4)]
    resume = folder / "last.ckpt"
    fit(tmp_path / "second", second, resume=resume, previous=folder, callbacks=callbacks, **options)
    assert torch.equal(weights(whole), weights(second))
    assert [row for row in rows(tmp_path / "whole") if row["epoch"] == "1"] == [
        row for row in rows(tmp_path / "second") if row["epoch"] == "1"
    ]


# -- when steps are not collected ---------------------------------------------------------------------


class Watcher(Callback):
    def on_train_batch_end(self, trainer, pl_module, *args):
        weights(pl_module)


@pytest.mark.parametrize(
    ("callbacks", "options", "why"),
    [
        ([Watcher()], {}, "the callback Watcher has a `on_train_batch_end`"),
        ([LambdaCallback(on_after_backward=print)], {}, "LambdaCallback has a `on_after_backward`"),
        ([GradientAccumulationScheduler({0: 2})], {}, "GradientAccumulationScheduler changes what a step is"),
        ([], {"accumulate_grad_batches": 2}, "gradients are accumulated over 2 batches"),
    ],
    ids=["watcher", "lambda", "accumulation_schedule", "accumulation"],
)
@pytest.mark.filterwarnings("ignore:When using `Trainer.accumulate_grad_batches != 1.` and overriding")
def test_it_says_why_steps_are_taken_one_by_one(tmp_path, caplog, pushed, callbacks, options, why):
    with caplog.at_level(logging.INFO, "nam_like"):
        fit(tmp_path, make_task(), max_epochs=1, callbacks=[*callbacks, StepsPerLaunch(4)], **options)
    (record,) = [r for r in caplog.records if "optimizer steps" in r.getMessage()]
    assert record.levelno == logging.WARNING
    assert "one per launch, because" in record.getMessage()
    assert why in record.getMessage()
    assert not pushed


def test_a_task_with_a_step_of_its_own_keeps_it(tmp_path, caplog, pushed):
    task = make_task()

    class Own(type(task)):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx)

    task.__class__ = Own
    with caplog.at_level(logging.INFO, "nam_like"):
        fit(tmp_path, task, max_epochs=1, callbacks=[StepsPerLaunch(4)])
    assert "Own has a `training_step` of its own" in caplog.text
    assert not pushed


@pytest.mark.parametrize("size", [None, 1])
def test_on_the_cpu_the_ordinary_loop_is_the_default(tmp_path, caplog, pushed, size):
    with caplog.at_level(logging.INFO, "nam_like"):
        fit(tmp_path, make_task(), max_epochs=1, callbacks=[StepsPerLaunch(size)])
    assert "optimizer steps" not in caplog.text
    assert not pushed


# -- recordings ---------------------------------------------------------------------------------------


class Tape:
    """Stands in for CUDA graphs: keeps what is to be recorded, and does it again when replayed.

    What a real recording reads lies in fixed places, and so does all that a tape may read.
    """

    def __init__(self, broken=False):
        self.broken, self.recorded, self.replayed, self.warmed = broken, [], 0, 0

    def warm_up(self, run):
        self.warmed += 1
        run()

    def record(self, run):
        if self.broken:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        self.recorded.append(run)

        def replay():
            self.replayed += 1
            run()

        return replay


@pytest.fixture
def capturable(monkeypatch):
    """Adam takes its numbers from the device on CUDA devices only; let it do so here."""
    adam = importlib.import_module("torch.optim.adam")
    monkeypatch.setattr(adam, "_get_capturable_supported_devices", lambda *_, **__: ["cpu"])


def queue_and_loop(steps, tape, size=4, momentum=lambda step: 0.9, batches=None):
    """The weights after some steps of a queue with a recorder, and of a plain loop, with changing rates."""
    generator = torch.Generator().manual_seed(1)
    shapes = batches or [6] * steps
    data = [torch.randn(n, 5, generator=generator) for n in shapes]
    made = []
    for queued in (True, False):
        torch.manual_seed(0)
        net = torch.nn.Linear(5, 1)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01, capturable=not queued)
        clipping = Clipping(0.5)

        def loss(batch, net=net):
            return (net(batch[0]) - batch[0].sum(1, keepdim=True)).square().mean()

        program = StepProgram(loss, optimizer, clipping)
        queue = StepQueue(program, size, tape)
        for step, x in enumerate(data):
            optimizer.param_groups[0]["lr"] = 0.01 / (1 + step)
            optimizer.param_groups[0]["betas"] = (momentum(step), 0.999)
            if queued:
                queue.push((x,))
            else:
                program.step((x,), [torch.tensor(0.01 / (1 + step))], program.options())
        queue.flush()
        made.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
        assert optimizer.param_groups[0]["lr"] == 0.01 / len(data)
    return made


@pytest.mark.usefixtures("capturable")
def test_replays_are_the_steps_with_the_rates_of_their_batches():
    tape = Tape()
    queued, plain = queue_and_loop(WARM_UP + 4 + 4 + 3, tape)
    assert torch.equal(queued, plain)
    assert (tape.warmed, len(tape.recorded), tape.replayed) == (WARM_UP, 2, 2 + 3)


@pytest.mark.usefixtures("capturable")
def test_each_shape_is_recorded_by_itself():
    tape = Tape()
    queued, plain = queue_and_loop(0, tape, batches=[6] * 12 + [9] * 11 + [6] * 4)
    assert torch.equal(queued, plain)
    # of 6: 2 launches and a rest of one, of 9: two launches, and one more of the first recording
    assert (tape.warmed, len(tape.recorded), tape.replayed) == (2 * WARM_UP, 3, 2 + 1 + 2 + 1)


@pytest.mark.usefixtures("capturable")
def test_too_many_shapes_are_not_recorded(caplog):
    tape = Tape()
    queued, plain = queue_and_loop(0, tape, batches=list(range(2, 12)))
    torch.testing.assert_close(queued, plain, rtol=1e-5, atol=1e-7)
    assert "more than 8 shapes" in caplog.text


@pytest.mark.usefixtures("capturable")
def test_what_cannot_be_recorded_is_done_step_by_step(caplog):
    tape = Tape(broken=True)
    queued, plain = queue_and_loop(12, tape)
    torch.testing.assert_close(queued, plain, rtol=1e-5, atol=1e-7)  # rates of float32 and of float64
    message = "RuntimeError: operation not permitted when stream is capturing"
    assert [r.getMessage().endswith(message) for r in caplog.records] == [True]


@pytest.mark.usefixtures("capturable")
def test_options_that_a_schedule_changes_end_the_recording(caplog):
    tape = Tape()
    queued, plain = queue_and_loop(15, tape, momentum=lambda step: 0.9 if step < 11 else 0.5)
    torch.testing.assert_close(queued, plain, rtol=1e-5, atol=1e-7)
    assert tape.replayed == 2
    assert "the schedule changes more than the learning rate" in caplog.text


def test_the_average_moves_alike_with_a_number_on_the_device():
    torch.manual_seed(0)
    live = [torch.randn(3, 2), torch.randn(4)]
    moved = []
    for share in (0.25, torch.tensor(0.25)):
        ema = Ema()
        ema._averages = {"a": torch.ones(3, 2), "b": torch.zeros(4)}
        ema._live = live
        ema.follow(share)
        moved.append(torch.cat([average.flatten() for average in ema._averages.values()]))
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-6, atol=1e-7)
    expected = 0.75 * torch.cat([torch.ones(6), torch.zeros(4)]) + 0.25 * torch.cat(
        [tensor.flatten() for tensor in live]
    )
    torch.testing.assert_close(moved[0], expected)
