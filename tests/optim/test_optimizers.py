"""Each optimizer against its paper in float64 NumPy, closed forms, and its own continuation from a state."""

import copy
import io

import naive
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from nam_like.config.component import component
from nam_like.optim.buckets import BucketedOptimizer
from nam_like.optim.muon import orthogonalise, update_scale
from nam_like.optim.schedule_free import ScheduleFreeAdamW
from nam_like.optim.soap import SOAP, next_basis
from nam_like.registry import OPTIMIZERS

NAMES = ["Adan", "Muon", "SOAP", "ScheduleFreeAdamW"]
SHAPES = [(4, 3, 2), (4, 3, 2), (3,), (4, 1, 1), (2, 5), (1, 4), (6, 2), ()]


def make(name, parameters, **config):
    return component("optimizer", {"name": name, "config": config}).build(parameters)


def parameters(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in SHAPES]


def curvature(number, shape):
    """A noisy quadratic per parameter: gradient = a ∘ w + noise of the step."""
    rng = np.random.default_rng(number)
    return rng.uniform(0.5, 3.0, size=shape)


def gradients(number, shape, steps):
    a = curvature(number, shape)
    rng = np.random.default_rng(100 + number)
    noise = [rng.normal(size=shape) for _ in range(steps)]
    return [lambda w, n=n: a * w + n for n in noise]


def run(optimizer, params, steps, first=0, total=25):
    """Take steps `first` … `first + steps` of the noisy quadratics."""
    functions = [gradients(number, tuple(p.shape), total) for number, p in enumerate(params)]
    for step in range(first, first + steps):
        for p, function in zip(params, functions, strict=True):
            p.grad = torch.from_numpy(np.asarray(function[step](p.detach().double().numpy()))).to(p)
        optimizer.step()


def is_matrix(shape):
    return len(shape) > 1 and min(shape[0], int(np.prod(shape[1:]))) > 1


def bases(optimizer, parameter):
    """Copies of SOAP's eigenbases; None for a side that has none."""
    state = optimizer.state[parameter]
    return [state[key].numpy().copy() if key in state else None for key in ("left_basis", "right_basis")]


REFERENCES = {
    "Adan": lambda w, g, lr, wd: naive.adan(w, g, lr, weight_decay=wd),
    "ScheduleFreeAdamW": lambda w, g, lr, wd: naive.schedule_free(w, g, lr, weight_decay=wd, warmup=5)[0],
    "SOAP": lambda w, g, lr, wd, bases=None: (
        naive.soap(w, g, lr, weight_decay=wd, frequency=3, bases=bases)
        if is_matrix(w.shape)
        else naive.adam(w, g[1:], lr, (0.95, 0.95), weight_decay=wd)
    ),
    "Muon": lambda w, g, lr, wd: (
        naive.muon(w, g, lr, weight_decay=wd)
        if is_matrix(w.shape)
        else naive.adam(w, g, lr / 2, (0.9, 0.999), weight_decay=2 * wd)
    ),
}
CONFIGS = {
    "ScheduleFreeAdamW": {"warmup_steps": 5},
    "SOAP": {"precondition_frequency": 3},
    "Muon": {"adam_lr": 0.015},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_it_does_what_the_paper_says(name, decay):
    ours = parameters()
    start = [p.detach().numpy().copy() for p in ours]
    optimizer = make(name, ours, lr=0.03, weight_decay=decay, **CONFIGS.get(name, {}))
    run(optimizer, ours, 1)
    more = [{"bases": bases(optimizer, p)} if name == "SOAP" else {} for p in ours]
    run(optimizer, ours, 24, first=1)
    for number, (p, w) in enumerate(zip(ours, start, strict=True)):
        expected = REFERENCES[name](w, gradients(number, w.shape, 25), 0.03, decay, **more[number])
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_on_from_a_saved_state_bit_by_bit(name):
    whole = parameters(dtype=torch.float32)
    optimizer = make(name, whole, lr=0.01)
    run(optimizer, whole, 25)

    first = parameters(dtype=torch.float32)
    optimizer = make(name, first, lr=0.01)
    run(optimizer, first, 13)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    second = [nn.Parameter(p.detach().clone()) for p in first]
    continued = make(name, second, lr=0.01)
    continued.load_state_dict(torch.load(file, weights_only=True))
    run(continued, second, 12, first=13)
    assert all(torch.equal(a, b) for a, b in zip(whole, second, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_deep_copy_goes_its_own_way(name):
    ours = parameters()
    optimizer = make(name, ours, lr=0.01)
    run(optimizer, ours, 5)
    both = copy.deepcopy((optimizer, ours))
    run(optimizer, ours, 5, first=5)
    assert not torch.equal(both[1][0], ours[0])
    run(*both, 5, first=5)
    assert all(torch.equal(a, b) for a, b in zip(both[1], ours, strict=True))


@pytest.mark.parametrize(
    ("name", "lr"), [("Adan", 0.2), ("Muon", 0.3), ("SOAP", 0.1), ("ScheduleFreeAdamW", 0.3)]
)
def test_it_finds_the_minimum_of_a_quadratic(name, lr):
    """The targets are the minimum of Σ (w − target)²; the rate falls to 0."""
    net = nn.Conv1d(3, 4, 2)
    targets = [torch.arange(p.numel(), dtype=p.dtype).view_as(p) / 10 for p in net.parameters()]
    optimizer = make(name, net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=400)
    for _ in range(400):
        optimizer.zero_grad()
        sum((p - t).square().sum() for p, t in zip(net.parameters(), targets, strict=True)).backward()
        optimizer.step()
        schedule.step()
    if isinstance(optimizer, ScheduleFreeAdamW):
        optimizer.eval()
    for p, target in zip(net.parameters(), targets, strict=True):
        assert float((p.detach() - target).abs().max()) < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_parameters_without_gradient_are_left_alone_and_may_join_later(name):
    ours = parameters()
    before = [p.detach().clone() for p in ours]
    optimizer = make(name, ours, lr=0.01, weight_decay=0.1)
    optimizer.step()  # none has one
    assert all(torch.equal(p, b) for p, b in zip(ours, before, strict=True))
    for p in ours[2:]:
        p.grad = torch.ones_like(p)
    for _ in range(3):
        optimizer.step()
    assert torch.equal(ours[0], before[0])
    assert not torch.equal(ours[3], before[3])
    ours[0].grad = torch.randn_like(ours[0])
    ours[3].grad = None
    kept = ours[3].detach().clone()
    for _ in range(3):
        optimizer.step()
    assert not torch.equal(ours[0], before[0])
    assert torch.equal(ours[3], kept)
    assert all(torch.isfinite(p).all() for p in ours)


@pytest.mark.parametrize("name", NAMES)
def test_groups_have_options_of_their_own(name):
    still, moving = nn.Parameter(torch.ones(3, 3)), nn.Parameter(torch.ones(3, 3))
    optimizer = make(name, [{"params": [still], "lr": 0.0}, {"params": [moving]}], lr=0.1)
    for _ in range(3):
        for p in (still, moving):
            p.grad = p.detach() * torch.arange(1.0, 10.0).view(3, 3)
        optimizer.step()
    assert torch.equal(still, torch.ones(3, 3))
    assert not torch.equal(moving, torch.ones(3, 3))


@pytest.mark.parametrize("name", NAMES)
def test_a_closure_gives_the_loss(name):
    w = nn.Parameter(torch.tensor([2.0]))
    optimizer = make(name, [w], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = w.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4.0
    assert w.grad is not None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schedule", ["OneCycleLR", "CosineAnnealingLR", "ReduceLROnPlateau"])
def test_the_schedules_of_torch_drive_it(name, schedule):
    if (name, schedule) == ("Muon", "OneCycleLR"):
        config = {"max_lr": 0.1, "total_steps": 10, "cycle_momentum": True}
    else:
        config = {
            "OneCycleLR": {"max_lr": 0.1, "total_steps": 10},
            "CosineAnnealingLR": {"T_max": 10},
            "ReduceLROnPlateau": {"patience": 0, "factor": 0.5},
        }[schedule]
    ours = parameters()
    optimizer = make(name, ours, lr=0.1)
    scheduler = component("lr_scheduler", {"name": schedule, "config": config}).build(optimizer=optimizer)
    for step in range(9):
        run(optimizer, ours, 1, first=step)
        scheduler.step(*([1.0] if schedule == "ReduceLROnPlateau" else []))
    assert optimizer.param_groups[0]["lr"] < 0.1
    assert all(torch.isfinite(p).all() for p in ours)


@pytest.mark.parametrize("name", NAMES)
def test_options_out_of_range_are_refused(name):
    w = [nn.Parameter(torch.ones(2))]
    cls = OPTIMIZERS.find(name).load()
    with pytest.raises(ValueError, match="expected `lr` to be 0 or more, but got -1"):
        cls(w, lr=-1)
    with pytest.raises(ValueError, match="expected `weight_decay` to be 0 or more"):
        cls(w, weight_decay=-1.0)
    with pytest.raises(ValueError, match="expected `betas` to be"):
        cls(w, betas=(0.9,))
    with pytest.raises(ValueError, match="expected `betas` to be from 0 up to but not 1, but got 1"):
        cls(w, betas=(0.9, 1.0, 0.9)[: len(cls(w).defaults["betas"])])
    with pytest.raises(ValidationError, match="did you mean 'weight_decay'"):
        make(name, w, weight_decai=0.1)
    with pytest.raises(ValidationError):
        make(name, w, betas=[0.9, -0.1])


def test_sparse_and_complex_parameters_are_refused():
    z = nn.Parameter(torch.ones(2, dtype=torch.complex64))
    z.grad = torch.ones_like(z)
    with pytest.raises(ValueError, match="expected real parameters"):
        make("Adan", [z]).step()


def test_other_devices_and_dtypes_get_buckets_of_their_own():
    ours = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2, dtype=torch.float64))]
    for p in ours:
        p.grad = torch.ones_like(p)
    optimizer = make("Adan", ours, lr=0.1)
    optimizer.step()
    assert torch.allclose(ours[0].double(), torch.full((3,), 0.9, dtype=torch.float64))
    assert optimizer.state[ours[1]]["exp_avg"].dtype == torch.float64


class TestScheduleFree:
    def test_eval_puts_the_average_in_place_and_train_puts_the_rest_back_bit_by_bit(self):
        ours = parameters(dtype=torch.float32)
        start = [p.detach().double().numpy() for p in ours]
        optimizer = make("ScheduleFreeAdamW", ours, lr=0.03)
        run(optimizer, ours, 20)
        y = [p.detach().clone() for p in ours]
        optimizer.eval()
        optimizer.eval()
        for number, (p, w) in enumerate(zip(ours, start, strict=True)):
            _, x = naive.schedule_free(w, gradients(number, w.shape, 20), 0.03)
            np.testing.assert_allclose(p.detach().numpy(), x, rtol=1e-3, atol=1e-4)
        optimizer.train()
        optimizer.train()
        assert all(torch.equal(a, b) for a, b in zip(ours, y, strict=True))

    def test_a_step_on_the_averages_is_refused(self):
        ours = parameters()
        optimizer = make("ScheduleFreeAdamW", ours)
        run(optimizer, ours, 1)
        optimizer.eval()
        with pytest.raises(RuntimeError, match="expected `train\\(\\)` before the next step"):
            run(optimizer, ours, 1, first=1)

    def test_a_state_saved_in_eval_mode_goes_on_bit_by_bit(self):
        whole, first = parameters(), parameters()
        run(make("ScheduleFreeAdamW", whole), whole, 20)
        optimizer = make("ScheduleFreeAdamW", first)
        run(optimizer, first, 10)
        optimizer.eval()
        second = [nn.Parameter(p.detach().clone()) for p in first]
        continued = make("ScheduleFreeAdamW", second)
        continued.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        continued.train()
        run(continued, second, 10, first=10)
        assert all(torch.equal(a, b) for a, b in zip(whole, second, strict=True))

    def test_with_a_constant_rate_the_average_is_the_mean_of_all_iterates(self):
        w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        optimizer = ScheduleFreeAdamW([w], lr=0.1, betas=(0.9, 0.0), eps=0.0)
        for sign in (1.0, 1.0, -1.0, 1.0):  # steps of −0.1, −0.1, 0.1, −0.1
            w.grad = torch.tensor([sign], dtype=torch.float64)
            optimizer.step()
        optimizer.eval()
        assert abs(w.item() - np.mean([-0.1, -0.2, -0.1, -0.2])) < 1e-12


class TestMuon:
    @pytest.mark.parametrize("shape", [(3, 4, 7), (3, 7, 4), (1, 5, 5)])
    def test_singular_values_come_near_1_and_directions_stay(self, shape):
        generator = torch.Generator().manual_seed(1)
        matrices = torch.randn(shape, generator=generator, dtype=torch.float64)
        u, _, v = torch.linalg.svd(matrices, full_matrices=False)
        inside = u.mT @ orthogonalise(matrices) @ v.mT
        values = torch.diagonal(inside, dim1=1, dim2=2)
        assert float(values.min()) > 0.6
        assert float(values.max()) < 1.3
        assert float((inside - torch.diag_embed(values)).abs().max()) < 1e-9

    def test_as_torch(self):
        """torch's own Muon takes matrices only, and iterates in bfloat16."""
        ours = [nn.Parameter(torch.randn(6, 4, generator=torch.Generator().manual_seed(3)))]
        theirs = [nn.Parameter(ours[0].detach().clone())]
        run(make("Muon", ours, lr=0.01), ours, 10)
        reference = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        run(reference, theirs, 10)
        assert torch.allclose(ours[0], theirs[0], atol=2e-3)

    def test_the_two_scales(self):
        assert update_scale(8, 2, "spectral") == 2.0
        assert update_scale(2, 8, "spectral") == 1.0
        assert update_scale(4, 25, "adam") == pytest.approx(1.0)


class TestSoap:
    def test_the_basis_converges_to_the_eigenvectors_in_order(self):
        generator = torch.Generator().manual_seed(0)
        q = torch.linalg.qr(torch.randn(2, 5, 5, generator=generator, dtype=torch.float64)).Q
        values = torch.tensor([16.0, 8.0, 4.0, 2.0, 1.0], dtype=torch.float64)
        average = q @ torch.diag(values) @ q.mT
        basis = torch.eye(5, dtype=torch.float64).expand(2, 5, 5)
        for _ in range(60):
            basis, _ = next_basis(average, basis)
        assert float(((basis.mT @ q).abs() - torch.eye(5)).abs().max()) < 1e-9

    def test_a_long_side_is_not_preconditioned(self):
        w = nn.Parameter(torch.randn(3, 6, dtype=torch.float64))
        start = w.detach().numpy().copy()
        optimizer = SOAP([w], lr=0.03, max_precond_dim=4, precondition_frequency=3)
        run(optimizer, [w], 1)
        first = bases(optimizer, w)
        run(optimizer, [w], 24, first=1)
        expected = naive.soap(start, gradients(0, (3, 6), 25), 0.03, frequency=3, longest=4, bases=first)
        np.testing.assert_allclose(w.detach().numpy(), expected, rtol=1e-9, atol=1e-10)
        assert "right" not in optimizer.state[w]


def test_state_that_was_replaced_from_outside_is_taken_up():
    """Trainers move state between devices by replacing the tensors."""
    ours, theirs = parameters(), parameters()
    optimizer, other = make("Adan", ours), make("Adan", theirs)
    run(optimizer, ours, 5)
    run(other, theirs, 5)
    for state in other.state.values():
        for name in state:
            state[name] = state[name].clone()
    assert isinstance(other, BucketedOptimizer)
    run(optimizer, ours, 5, first=5)
    run(other, theirs, 5, first=5)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
