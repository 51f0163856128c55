"""Stages of a curriculum: which items an epoch has, that nothing is copied, that a position is resumed."""

import pytest
import torch
from torch.utils.data import Dataset

from nam_like.data.base import AbstractDataset, DataError
from nam_like.data.concat import ConcatDataset
from nam_like.data.curriculum import Stage, StagedDataset, recut, stage_of
from nam_like.data.loader import make_dataloader
from nam_like.data.paired import PairedDataset
from nam_like.errors import UserError

STAGES = (Stage(2, ny=8, batch_size=6), Stage(5, batch_size=4))


def paired(samples=100, nx=5, ny=16, **options):
    x = torch.arange(samples, dtype=torch.float32)
    return PairedDataset(x, -x, nx=nx, ny=ny, **options)


def loader(dataset=None, batch_size=2, stages=STAGES, **options):
    given = {"batch_size": batch_size, "shuffle": True, **options}
    return make_dataloader(dataset or paired(), given, train=True, seed=3, stages=stages)


def epoch(made, number):
    made.set_epoch(number)
    return list(made)


def test_stages_by_epoch():
    assert [stage_of(STAGES, e) for e in range(7)] == [0, 0, 1, 1, 1, 2, 2]


def test_each_epoch_has_the_items_of_its_stage():
    made = loader()
    for number, (ny, batch_size) in enumerate([(8, 6), (8, 6), (16, 4), (16, 4), (16, 4), (16, 2), (16, 2)]):
        batches = epoch(made, number)
        items = (100 - 4) // ny
        assert len(made) == len(batches) == -(-items // batch_size) == made.batches.batches_of(number)
        assert [len(y) for _, y in batches[:-1]] == [batch_size] * (len(batches) - 1)
        targets = torch.cat([y for _, y in batches])
        assert targets.shape == (items, ny)
        assert torch.equal(targets.flatten().sort(descending=True).values, -torch.arange(4.0, 4 + items * ny))
        for x, y in batches:
            assert torch.equal(x[:, 4:], -y)


@pytest.mark.parametrize("workers", [0, 1])
def test_it_goes_on_where_it_was(workers):
    options = {"num_workers": workers, "persistent_workers": bool(workers)}
    whole = [[y for _, y in epoch(loader(), number)] for number in range(3)]
    made = loader(**options)
    for number in range(3):
        made.set_epoch(number)
        for step, (_, y) in enumerate(made):
            assert torch.equal(y, whole[number][step])
            if number == 1 and step == 0:
                state = made.state_dict()
    again = loader(**options)
    again.load_state_dict(state)
    assert all(torch.equal(y, expected) for (_, y), expected in zip(again, whole[1][1:], strict=True))


def test_nothing_is_copied_and_lists_are_cut_too():
    one, other = paired(), paired(60)
    cut = recut(ConcatDataset([one, other]), 4)
    assert cut.ny == 4
    assert len(cut) == 24 + 14
    assert [part.x.data_ptr() for part in cut.datasets] == [one.x.data_ptr(), other.x.data_ptr()]
    assert (one.ny, len(one)) == (16, 6)


def test_the_gain_of_a_hook_reaches_all_stages():
    dataset = paired()
    dataset.scale_output(0.5)
    made = loader(dataset)
    for number in (0, 5):
        for x, y in epoch(made, number):
            assert torch.equal(x[:, 4:], -2 * y)


def test_random_offsets_are_new_in_each_epoch_of_a_stage():
    made = loader(paired(random_offset=True))
    first, second = (torch.cat([y for _, y in epoch(made, number)]) for number in (0, 1))
    assert not torch.equal(first.sort(0).values, second.sort(0).values)


def test_moved_to_a_device_it_is_cut_anew():
    dataset = StagedDataset(paired(), STAGES)
    dataset.to("cpu")
    assert dataset.cuts[0].x.data_ptr() == dataset.dataset.x.data_ptr()
    assert len(dataset.cuts[0]) == 12


@pytest.mark.parametrize(
    ("stages", "drop_last", "message"),
    [
        ((Stage(2, ny=200),), False, "expected `ny` to be from 1 to 96"),
        ((Stage(2, ny=48, batch_size=3),), True, r"`curriculum\[0\].batch_size` to be at most the 2 items"),
        ((Stage(2, ny=8), Stage(3, ny=48)), True, r"`curriculum\[1\].batch_size` to be at most the 2 items"),
    ],
)
def test_stages_that_leave_no_batch_are_refused(stages, drop_last, message):
    with pytest.raises(UserError, match=message):
        loader(batch_size=4, stages=stages, drop_last=drop_last)


def test_only_recordings_can_be_cut_anew():
    class Items(AbstractDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return torch.zeros(3), torch.zeros(3)

    assert issubclass(Items, Dataset)
    with pytest.raises(
        DataError, match="expected a dataset of recordings for a curriculum of `ny`, but got a Items"
    ):
        loader(Items())
    assert len(loader(Items(), stages=(Stage(1, batch_size=3),))) == 1
