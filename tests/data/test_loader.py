from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nam_like.data import loader as loader_module
from nam_like.data import sampler as sampler_module
from nam_like.data.base import DataError
from nam_like.data.concat import ConcatDataset
from nam_like.data.loader import make_dataloader
from nam_like.data.paired import PairedDataset
from nam_like.data.sampler import SeededBatchSampler


def dataset(length: int = 101, **kwargs: Any) -> PairedDataset:
    x = torch.arange(float(length))
    return PairedDataset(x, -x, **{"nx": 2, "ny": 4, **kwargs})


def epoch_of(loader: Any, epoch: int) -> list[torch.Tensor]:
    loader.set_epoch(epoch)
    return [x for x, _ in loader]


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch) -> Any:
    def pretend(rank: int, processes: int) -> None:
        for module in (sampler_module, loader_module):
            monkeypatch.setattr(module, "world", lambda: (rank, processes))

    return pretend


@given(
    items=st.integers(1, 60),
    batch_size=st.integers(1, 9),
    processes=st.integers(1, 5),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
)
def test_processes_share_the_items(
    items: int, batch_size: int, processes: int, drop_last: bool, shuffle: bool
) -> None:
    sampler = SeededBatchSampler(items, batch_size, shuffle=shuffle, drop_last=drop_last, seed=5)
    per_rank = []
    with pytest.MonkeyPatch.context() as patch:
        for rank in range(processes):
            patch.setattr(sampler_module, "world", lambda rank=rank: (rank, processes))
            batches = [list(batch) for batch in sampler]
            assert len(batches) == len(sampler)
            per_rank.append(batches)
    assert len({tuple(map(len, batches)) for batches in per_rank}) == 1
    seen = [item for batches in per_rank for batch in batches for item in batch]
    if drop_last:
        assert len(set(seen)) == len(seen) == items // (processes * batch_size) * processes * batch_size
        assert all(len(batch) == batch_size for batches in per_rank for batch in batches)
    else:
        assert set(seen) == set(range(items))
        assert len(seen) - items < processes


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    options = {"batch_size": 5, "shuffle": True}
    one = make_dataloader(dataset(), options, train=True, seed=1)
    other = make_dataloader(dataset(), options, train=True, seed=1)
    epoch_of(other, 7)
    first = torch.cat(epoch_of(one, 3))
    assert torch.equal(first, torch.cat(epoch_of(other, 3)))
    assert not torch.equal(first, torch.cat(epoch_of(one, 4)))
    assert not torch.equal(
        first, torch.cat(epoch_of(make_dataloader(dataset(), options, train=True, seed=2), 3))
    )
    assert sorted(first[:, 0].tolist()) == [4.0 * i for i in range(25)]


def test_without_shuffle_items_come_in_order() -> None:
    batches = list(make_dataloader(dataset(), {"batch_size": 10}, train=False))
    assert [x.shape for x, _ in batches] == [(10, 5), (10, 5), (5, 5)]
    assert torch.cat([x for x, _ in batches])[:, 0].tolist() == [4.0 * i for i in range(25)]
    assert len(make_dataloader(dataset(), {"batch_size": 10, "drop_last": True}, train=False)) == 2
    assert [x.shape for x, _ in make_dataloader(dataset(), None, train=False)] == [(1, 5)] * 25


@pytest.mark.parametrize("workers", [0, 2])
def test_going_on_amid_an_epoch(workers: int) -> None:
    options = {"batch_size": 3, "shuffle": True, "num_workers": workers}
    random = {"random_offset": True, "seed": 9}
    whole = epoch_of(make_dataloader(dataset(**random), options, train=True, seed=4), 2)
    interrupted = make_dataloader(dataset(**random), options, train=True, seed=4)
    interrupted.set_epoch(2)
    taken = [x for (x, _), _ in zip(interrupted, range(4), strict=False)]
    assert interrupted.state_dict() == {"epoch": 2, "batch": 4 + 1}  # zip takes one more before it stops
    resumed = make_dataloader(dataset(**random), options, train=True, seed=4)
    resumed.load_state_dict({"epoch": 2, "batch": 4})
    resumed.set_epoch(2)  # as a trainer announces it once more
    rest = [x for x, _ in resumed]
    assert len(resumed) == len(whole) == 9
    assert torch.equal(torch.cat(taken + rest), torch.cat(whole))
    assert resumed.state_dict() == {"epoch": 3, "batch": 0}
    again = [x for x, _ in resumed]
    assert torch.equal(torch.cat(again), torch.cat(whole))


def test_another_epoch_begins_at_its_beginning() -> None:
    loader = make_dataloader(dataset(), {"batch_size": 3}, train=True)
    loader.load_state_dict({"epoch": 2, "batch": 4})
    assert len(epoch_of(loader, 3)) == 9


def test_workers_that_outlive_an_epoch_draw_new_offsets() -> None:
    options = {"batch_size": 5, "num_workers": 1, "persistent_workers": True}
    kept = make_dataloader(dataset(random_offset=True, seed=3), options, train=True)
    alone = make_dataloader(dataset(random_offset=True, seed=3), {"batch_size": 5}, train=True)
    epochs = [torch.cat(epoch_of(kept, epoch)) for epoch in range(3)]
    assert not torch.equal(epochs[0], epochs[1])
    for epoch, drawn in enumerate(epochs):
        assert torch.equal(drawn, torch.cat(epoch_of(alone, epoch)))


def test_whole_recordings_of_different_length_come_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    uneven = ConcatDataset([dataset(30, ny=None), dataset(40, ny=None)])
    with caplog.at_level(logging.WARNING):
        loader = make_dataloader(uneven, {"batch_size": 4}, train=False)
    assert [x.shape for x, _ in loader] == [(1, 30), (1, 40)]
    assert "`val_dataloader.batch_size` is 4, but the recordings differ in length" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"batch_size": 26, "drop_last": True},
            "`train_dataloader.batch_size` to be at most the 25 items .* got 26",
        ),
        ({"batch_size": 0}, "positive integer, but got 0"),
        ({"batch_size": None}, "positive integer, but got null"),
        ({"batch_size": True}, "positive integer, but got true"),
        ({"shuffle": "yes"}, 'shuffle` to be true or false, but got the string "yes"'),
        ({"num_worker": 2}, "but got `num_worker`; did you mean 'num_workers'"),
        ({"sampler": []}, "expected `train_dataloader` without `sampler`"),
        ({"collate_fn": len}, "without `collate_fn`"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_dataloader(dataset(), options, train=True)


def test_no_batch_left_for_a_process(as_rank: Any) -> None:
    as_rank(0, 4)
    with pytest.raises(DataError, match="at most the 25 items there are for each of 4 processes"):
        make_dataloader(dataset(), {"batch_size": 7, "drop_last": True}, train=True)


def test_plain_datasets_and_other_options() -> None:
    plain = [(torch.tensor([float(i)]), torch.tensor([-float(i)])) for i in range(7)]
    options = {"batch_size": 3, "pin_memory": True, "num_workers": 0, "timeout": 0, "prefetch_factor": None}
    batches = list(make_dataloader(plain, options, train=True))
    assert [tuple(x.shape) for x, _ in batches] == [(3, 1), (3, 1), (1, 1)]
    assert isinstance(batches[0], tuple)


@pytest.mark.filterwarnings("ignore")
def test_a_trainer_resumes_amid_an_epoch_with_the_next_batch(tmp_path: Any) -> None:
    import pytorch_lightning as pl

    class Net(pl.LightningModule):
        def __init__(self, stop_at: int | None = None) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.stop_at, self.seen = stop_at, []

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            self.seen.append((self.current_epoch, index, batch[0][:, 0].tolist()))
            return (self.weight * batch[0]).mean()

        def on_train_batch_end(self, *_: Any) -> None:
            if self.global_step == self.stop_at:
                self.trainer.save_checkpoint(tmp_path / "stopped.ckpt")
                self.trainer.should_stop = True

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 1e-3)

    def fit(net: Net, path: Any = None) -> None:
        trainer = pl.Trainer(
            max_epochs=3,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=tmp_path,
        )
        options = {"batch_size": 4, "shuffle": True}
        loader = make_dataloader(dataset(random_offset=True, seed=1), options, train=True, seed=6)
        trainer.fit(net, loader, ckpt_path=path)

    whole = Net()
    fit(whole)
    for stop_at in (1, 7, 10):
        first, second = Net(stop_at), Net()
        fit(first)
        fit(second, tmp_path / "stopped.ckpt")
        assert len(first.seen) == stop_at
        assert first.seen + second.seen == whole.seen
