"""LSTM: burn-in, truncation, the state that playing starts from, knobs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from harness.net_contract import noise, randomise
from pydantic import ValidationError

from nam_like.errors import HandshakeError
from nam_like.models.amp.lstm import LSTM, LSTMConfig


def make(**config: Any) -> LSTM:
    net = LSTM.init_from_config({"hidden_size": 4, **config})
    assert isinstance(net, LSTM)
    return randomise(net, size=0.5)


def by_hand(net: LSTM, x: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor) -> torch.Tensor:
    """One layer, from the equations (gates i, f, g, o)."""
    core, outputs = net.core, []
    for sample in x[0]:
        z = core.weight_ih_l0 @ sample[None] + core.bias_ih_l0 + core.weight_hh_l0 @ hidden + core.bias_hh_l0
        i, f, g, o = z.chunk(4)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        outputs.append(net.head(hidden)[0])
    return torch.stack(outputs)


def test_training_starts_from_the_learned_state() -> None:
    net = make().train()
    x = noise(1, 30)
    wanted = by_hand(net, x, net.initial_hidden[0], net.initial_cell[0])
    torch.testing.assert_close(net(x)[0], wanted)


def test_playing_starts_from_the_state_after_silence() -> None:
    net = make(sample_rate=200, export_silence=0.25).eval()
    x = noise(1, 30)
    silent = torch.zeros(1, 50 + 100)  # 0.25 s, and the engine's half second
    whole = by_hand(net, torch.cat([silent, x], dim=1), net.initial_hidden[0], net.initial_cell[0])
    with torch.no_grad():
        torch.testing.assert_close(net(x)[0], whole[150:], atol=1e-6, rtol=0)


def test_the_exported_state_is_that_after_the_silence() -> None:
    net = make(sample_rate=100, export_silence=0.1).eval()
    hidden, cell = net.initial_hidden[:, None], net.initial_cell[:, None]
    with torch.no_grad():
        _, (hidden, cell) = net.core(torch.zeros(1, 10, 1), (hidden, cell))
    weights = net.export_weights()
    stored = weights[4 * 4 * 5 + 16 : 4 * 4 * 5 + 24]
    np.testing.assert_allclose(stored, torch.cat([hidden, cell]).flatten().numpy(), atol=1e-7)


def test_the_silence_counts_at_the_nets_rate() -> None:
    slow, fast = make(sample_rate=8), make(sample_rate=4000)
    assert not np.array_equal(slow.eval().export_weights(), fast.eval().export_weights())


def test_changed_weights_are_noticed() -> None:
    net = make().eval()
    x = noise(1, 10)
    with torch.no_grad():
        before = net(x)
        net.core.bias_ih_l0.add_(0.3)  # in place, as optimizers do
        after = net(x)
        fresh = make().eval()
        fresh.load_state_dict(net.state_dict())
        assert not torch.equal(before, after)
        assert torch.equal(fresh(x), after)


def gradient_reach(net: LSTM, length: int) -> torch.Tensor:
    """d(output n) / d(input m) as a boolean matrix (n, m)."""
    net.train()
    x = noise(1, length).requires_grad_()
    y = net(x)[0]
    rows = []
    for n in range(length):
        if not y[n].requires_grad:
            rows.append(torch.zeros(length, dtype=torch.bool))
            continue
        (gradient,) = torch.autograd.grad(y[n], x, retain_graph=True, allow_unused=True)
        rows.append(gradient[0] != 0 if gradient is not None else torch.zeros(length, dtype=torch.bool))
    return torch.stack(rows)


def test_plain_training_reaches_back_all_the_way() -> None:
    reach = gradient_reach(make(), 12)
    assert torch.equal(reach, torch.tril(torch.ones(12, 12, dtype=torch.bool)))


@pytest.mark.parametrize("truncate", [None, 0, 4])
def test_the_burn_in_has_no_gradient(truncate: int | None) -> None:
    """With and without truncation."""
    reach = gradient_reach(make(train_burn_in=5, train_truncate=truncate), 12)
    assert not reach[:5].any()
    assert reach[5:9].any(dim=1).all()
    assert reach[5, 0]  # the first block reaches back through it


def test_truncation_cuts_the_gradient_at_block_borders() -> None:
    reach = gradient_reach(make(train_burn_in=2, train_truncate=4), 12)
    for n in range(12):
        if n < 2:
            first, count = 0, 0
        else:
            start = 2 + (n - 2) // 4 * 4
            first = 0 if start == 2 else start
            count = n - first + 1
        assert int(reach[n].sum()) == count
        assert bool(reach[n, first : first + count].all())


def test_burn_in_and_truncation_change_no_output() -> None:
    x = noise(2, 20)
    plain, cut = make().train(), make(train_burn_in=5, train_truncate=3).train()
    cut.load_state_dict(plain.state_dict())
    torch.testing.assert_close(cut(x), plain(x))
    with pytest.raises(ValueError, match=r"longer than `train_burn_in` \(5 samples\), but got 5"):
        cut(x[:, :5])


def test_they_act_in_training_only() -> None:
    net = make(train_burn_in=50).eval()
    with torch.no_grad():
        assert net(noise(1, 10)).shape == (1, 10)


def test_gates_start_half_open() -> None:
    """Forget gates +2, input gates −2, on both biases."""
    torch.manual_seed(0)
    net = LSTM(100)
    total = (net.core.bias_ih_l0 + net.core.bias_hh_l0).detach().reshape(4, 100).mean(dim=1)
    torch.testing.assert_close(total, torch.tensor([-4.0, 4.0, 0.0, 0.0]), atol=0.05, rtol=0)
    assert not net.initial_hidden.any()
    assert net.initial_hidden.requires_grad
    assert net.initial_cell.requires_grad


def test_dropout_acts_between_layers_in_training() -> None:
    net = make(num_layers=2, dropout=0.5)
    x = noise(1, 50)
    assert not torch.equal(net.train()(x), net(x))
    with torch.no_grad():
        assert torch.equal(net.eval()(x), net(x))


def test_knobs() -> None:
    net = make(input_size=3).eval()
    x, knobs = noise(2, 40), noise(2, 2, seed=3)
    aligned = knobs[:, :, None].expand(-1, -1, 40)
    with torch.no_grad():
        wanted = net(x, knobs)
        torch.testing.assert_close(net(x, aligned), wanted)
        for item in range(2):
            alone = net.frozen(knobs[item])
            torch.testing.assert_close(alone(x[item]), wanted[item], atol=2e-6, rtol=0)
    with pytest.raises(ValueError, match="expected 2 knob values, but got 1"):
        net.frozen([0.5])
    assert "nam" not in net.exports
    assert "set `export_knobs`" in net.export_obstacles("nam")[0]


def test_the_number_of_knobs_must_fit_the_data() -> None:
    class Data:
        num_conditions = 1
        condition_names = ("gain", "tone", "level")

    with pytest.raises(
        HandshakeError, match=r"expected a dataset with 2 knobs, but got 3 \(gain, tone, level\)"
    ):
        make(input_size=3).handshake(Data())


def test_weights_of_a_net_without_biases_cannot_be_read() -> None:
    net = make(bias=False)
    with pytest.raises(ValueError, match="expected an LSTM with biases"):
        net.import_weights(net.export_weights())


@pytest.mark.parametrize(
    ("changes", "at", "text"),
    [
        ({"batch_first": True}, "batch_first", r"audio is always \(B, L\)"),
        ({"bidirectional": True}, "bidirectional", "must be causal"),
        ({"proj_size": 2}, "proj_size", "expected 0"),
        ({"dropout": 0.1}, "dropout", "expected 0 with a single layer"),
        ({"dropout": 1.0, "num_layers": 2}, "dropout", "less than 1"),
        ({"train_burn_in": -1}, "train_burn_in", "greater than or equal to 0"),
        ({"train_truncate": 1.5}, "train_truncate", "expected an integer"),
        ({"export_knobs": [1.0]}, "export_knobs", "expected 0 values"),
        ({"hiden_size": 3}, "hiden_size", "not permitted|unknown"),
    ],
    ids=str,
)
def test_mistakes(changes: dict[str, Any], at: str, text: str) -> None:
    with pytest.raises(ValidationError, match=text) as caught:
        LSTMConfig.model_validate({"hidden_size": 4, **changes})
    assert [error["loc"] for error in caught.value.errors()] == [(at,)]


def test_null_means_the_default() -> None:
    net = LSTMConfig.model_validate({"hidden_size": 4, "train_burn_in": None, "train_truncate": None}).build()
    assert (net.train_burn_in, net.train_truncate) == (0, 0)
