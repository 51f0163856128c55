"""Conformers: distances, padding, contexts, scripting."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from nam_like.models.enhancement.conformer import Conformer, RelativeAttention, relative_positions

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def conformer(**config: Any) -> Conformer:
    torch.manual_seed(0)
    net = Conformer(
        **{
            "in_features": 5,
            "width": 8,
            "num_layers": 2,
            "heads": 2,
            "kernel_size": 3,
            "out_features": 4,
            **config,
        }
    )
    for layer in net.layers:  # biases begin at zero, which would hide them
        torch.nn.init.normal_(layer.attention.key_bias)
        torch.nn.init.normal_(layer.attention.position_bias)
    return net.eval()


def test_positions_are_sinusoids_of_distances() -> None:
    found = relative_positions(3, 4, torch.zeros(1))
    for row, distance in zip(found, (2, 1, 0, -1, -2), strict=True):
        wanted = [math.sin(distance), math.cos(distance), math.sin(distance / 100), math.cos(distance / 100)]
        assert row.tolist() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_scores_are_those_of_the_formula(count: int) -> None:
    """score(i, j) = ((q_i + u)·k_j + (q_i + v)·p_{i−j}) / √d, written out, softmax, and the values' mean."""
    torch.manual_seed(0)
    net = RelativeAttention(6, 2)
    torch.nn.init.normal_(net.key_bias)
    torch.nn.init.normal_(net.position_bias)
    x = noise(1, count, 6)
    with torch.no_grad():
        found = net(x, torch.zeros(1, 1, count, count))
        query, key, value = (part(x[0]).reshape(count, 2, 3) for part in (net.query, net.key, net.value))
        places = net.position(relative_positions(count, 6, x)).reshape(2 * count - 1, 2, 3)
        made = torch.zeros(count, 2, 3)
        for head in range(2):
            u, v = net.key_bias[head, 0], net.position_bias[head, 0]
            for i in range(count):
                scores = torch.stack(
                    [
                        (query[i, head] + u) @ key[j, head]
                        + (query[i, head] + v) @ places[count - 1 - (i - j), head]
                        for j in range(count)
                    ]
                )
                made[i, head] = (scores / math.sqrt(3)).softmax(0) @ value[:, head]
        wanted = net.output(made.reshape(1, count, 6))
    torch.testing.assert_close(found, wanted)


def test_what_is_behind_an_item_changes_nothing() -> None:
    net = conformer()
    x = noise(2, 9, 5)
    with torch.no_grad():
        together = net(x, torch.tensor([6, 9]))
        alone = net(x[:1, :6], torch.tensor([6]))
    torch.testing.assert_close(together[:1, :6], alone)


def test_time_has_no_origin() -> None:
    """The same frames later in a signal are heard alike where only near ones are heard."""
    net = conformer(num_layers=1, context=(1, 1))
    x = noise(1, 12, 5)
    later = torch.cat((noise(1, 4, 5), x), dim=1)
    with torch.no_grad():
        here, there = net(x, torch.tensor([12])), net(later, torch.tensor([16]))
    torch.testing.assert_close(here[:, 3:], there[:, 7:])


@pytest.mark.parametrize(("context", "first", "last"), [((2, 1), 4, 9), ((0, 0), 5, 7), ((-1, 0), 5, 11)])
def test_contexts_bound_what_is_heard(context: tuple[int, int], first: int, last: int) -> None:
    """Frame 6 is heard by those it lies in the context of, and one more on each side by the convolution."""
    net = conformer(num_layers=1, context=context)
    x = noise(1, 12, 5)
    changed = x.clone()
    changed[:, 6] += 1.0
    with torch.no_grad():
        difference = (net(x, torch.tensor([12])) - net(changed, torch.tensor([12]))).abs().amax(dim=(0, 2))
    heard = torch.nonzero(difference > 1e-7).flatten().tolist()
    assert heard == list(range(first, last + 1))


def test_scripted_conformers_take_any_length() -> None:
    for context in ((-1, -1), (3, 0)):
        net = conformer(context=context)
        scripted: Any = torch.jit.script(net)
        for batch, count in ((1, 1), (2, 7), (3, 20)):
            x, frames = noise(batch, count, 5), torch.full((batch,), count)
            with torch.no_grad():
                torch.testing.assert_close(scripted(x, frames), net(x, frames))


def test_gradients_reach_every_weight() -> None:
    net = conformer().train()
    net(noise(2, 9, 5), torch.tensor([6, 9])).square().sum().backward()
    # A key's bias moves all scores of a row alike, and softmax does not see that.
    silent = {name for name, weight in net.named_parameters() if not weight.grad.abs().max() > 1e-7}
    assert silent <= {f"layers.{n}.attention.key.bias" for n in range(2)}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"width": 9, "heads": 3}, "an even multiple of 3 heads"),
        ({"width": 10, "heads": 4}, "an even multiple of 4 heads"),
        ({"kernel_size": 4}, "an odd kernel_size, but got 4"),
    ],
)
def test_impossible_ones(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conformer(**config)
