"""The net itself, and how it is trained and played.

Training starts each segment from the learned state. ``train_burn_in`` samples at its start only bring the
state up: their outputs carry no gradient. ``train_truncate`` cuts the back-propagation through time: the
gradient does not cross the borders of blocks of that many samples (the first block reaches back through the
burn-in).

Playing (``eval()``) starts from where the net is after silence, as in a plugin: the learned state, then
`export_silence` seconds of zeros (what a `.nam` file stores), then half a second more (what the realtime
engine runs when it loads the file). So the net's own output equals the plugin's from the first sample on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nam_like.models.amp.lstm import native
from nam_like.models.base import Net, Weights, check_knobs, is_tracing
from nam_like.models.blocks.tracing import untraced
from nam_like.models.blocks.weights import WeightSource, flat

__all__ = ["LSTM", "State"]

State = tuple[Tensor, Tensor]

#: Silence that the realtime engine plays into an LSTM when it loads one (seconds).
ENGINE_PREWARM = 0.5
#: Rate that the silence is counted at while the net does not know its own (Hz).
DEFAULT_RATE = 48_000.0
#: cuDNN refuses longer sequences (samples).
LONGEST_BLOCK = 65_535
#: Samples of silence between two looks at whether the state still moves.
SETTLE_BLOCK = 2_048
#: Largest change of the state within a block that counts as none.
SETTLED = 2e-8
GATE_BIAS = 2.0


class LSTM(Net):
    """Stacked LSTM layers and one linear output.

    Args:
        hidden_size: H, width of each layer.
        num_layers: N, number of layers.
        input_size: D, inputs per sample: the audio and D − 1 knobs.
        train_burn_in: samples at the start of each training segment without gradient.
        train_truncate: longest stretch that a gradient reaches back (samples); 0 for all.
        dropout: probability between layers, in training.
        bias: whether the layers have biases.
        export_silence: seconds of silence from the learned state to the exported one.
        export_knobs: knob values at which a `.nam` file plays (a file has no knobs).
        sample_rate: Hz, or None.
    """

    architecture: ClassVar[str] = "LSTM"
    exports: frozenset[str] = frozenset({"nam", "torchscript", "onnx"})

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        *,
        input_size: int = 1,
        train_burn_in: int = 0,
        train_truncate: int = 0,
        dropout: float = 0.0,
        bias: bool = True,
        export_silence: float = 1.0,
        export_knobs: tuple[float, ...] | None = None,
        sample_rate: float | None = None,
    ) -> None:
        super().__init__(sample_rate)
        self.receptive_field = 1  # the past is in the state
        self.num_knobs = input_size - 1
        self.num_conditions = 1 if self.num_knobs else 0
        self.train_burn_in, self.train_truncate = train_burn_in, train_truncate
        self.export_silence, self.export_knobs = export_silence, export_knobs
        if input_size > 1 and export_knobs is None:
            self.exports = self.exports - {"nam"}
        self.core = nn.LSTM(input_size, hidden_size, num_layers, bias=bias, dropout=dropout, batch_first=True)
        self.head = nn.Linear(hidden_size, 1)
        self.initial_hidden = nn.Parameter(torch.zeros(num_layers, hidden_size))
        self.initial_cell = nn.Parameter(torch.zeros(num_layers, hidden_size))
        self._init_gates()
        self._silent: tuple[Any, State] | None = None

    def _init_gates(self) -> None:
        """Open the forget gates and close the input gates, so that the state is long-lived at first."""
        width = self.core.hidden_size
        with torch.no_grad():
            for name, bias in self.core.named_parameters():
                if name.startswith("bias"):
                    bias[:width] -= GATE_BIAS
                    bias[width : 2 * width] += GATE_BIAS

    def train(self, mode: bool = True) -> LSTM:
        """Set the mode; the silent state is worked out anew when next needed."""
        self._silent = None
        super().train(mode)
        return self

    def _forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
        inputs = self.join(x, *conditions)
        if self.training:
            return self._forward_training(inputs)
        return self._run(inputs, self._state_after_silence(inputs))[0]

    def resume(self, state: State | None, x: Tensor, *conditions: Tensor) -> tuple[Tensor, State]:
        """Play on from where a piece of audio has ended, so that long files are played in bounded memory.

        Args:
            state: what the call for the piece before returned; None starts as ``forward`` does in playing.
            x: the next piece ``(B, L)``.
            conditions: as for ``forward``, aligned ones of this piece only.

        Returns:
            ``(B, L)``, and the state after it.
        """
        inputs = self.join(x, *conditions)
        return self._run(inputs, self._state_after_silence(inputs) if state is None else state)

    def join(self, x: Tensor, *conditions: Tensor) -> Tensor:
        """Audio and knobs side by side: ``(B, L)``, ``(B, K)`` or ``(B, K, L)`` → ``(B, L, 1 + K)``."""
        columns = [x[..., None]]
        for knobs in conditions:
            if knobs.ndim == 2:
                columns.append(knobs[:, None, :].expand(-1, x.shape[1], -1))
            else:
                columns.append(knobs.transpose(1, 2))
        return torch.cat(columns, dim=-1) if conditions else columns[0]

    def _run(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """``(B, L, D)`` from a state ``(N, B, H)`` → ``(B, L)`` and the state after it."""
        played = native.play(self, inputs, state)
        if played is not None:
            return played
        if inputs.is_cuda and inputs.shape[1] > LONGEST_BLOCK:
            outputs = []
            for block in torch.split(inputs, LONGEST_BLOCK, dim=1):
                y, state = self._run(block, state)
                outputs.append(y)
            return torch.cat(outputs, dim=1), state
        features, state = self.core(inputs, state)
        return self.head(features)[..., 0], state

    def _learned_state(self, batch: int) -> State:
        shape = (-1, batch, -1)
        return (
            self.initial_hidden[:, None].expand(shape).contiguous(),
            self.initial_cell[:, None].expand(shape).contiguous(),
        )

    # -- training ----------------------------------------------------------------------------------

    def _forward_training(self, inputs: Tensor) -> Tensor:
        """From the learned state, with burn-in and truncation."""
        length, burn_in = inputs.shape[1], self.train_burn_in
        if burn_in and burn_in >= length:
            raise ValueError(
                f"expected training segments longer than `train_burn_in` ({burn_in} samples), "
                f"but got {length}"
            )
        state = self._learned_state(inputs.shape[0])
        played = native.train(self, inputs, state)
        return self._train_on_torch(inputs, state) if played is None else played

    def _train_on_torch(self, inputs: Tensor, state: State) -> Tensor:
        outputs, burn_in = [], self.train_burn_in
        if burn_in:
            y, state = self._run(inputs[:, :burn_in], state)
            outputs.append(y.detach())
        rest = inputs[:, burn_in:]
        for index, block in enumerate(torch.split(rest, self.train_truncate or rest.shape[1], dim=1)):
            if index:
                state = (state[0].detach(), state[1].detach())
            y, state = self._run(block, state)
            outputs.append(y)
        return torch.cat(outputs, dim=1) if len(outputs) > 1 else outputs[0]

    # -- the state after silence -------------------------------------------------------------------

    def _state_after_silence(self, inputs: Tensor) -> State:
        """The state that playing inputs ``(B, L, D)`` starts from; knobs are held at their first values."""
        batch = inputs.shape[0]
        seconds = self.export_silence + ENGINE_PREWARM
        if self.num_conditions:
            return self.silence(self._learned_state(batch), seconds, inputs[:, 0, 1:])
        key = (seconds, self.sample_rate, *((p.data_ptr(), p._version) for p in self.parameters()))
        if self._silent is None or self._silent[0] != key:
            with untraced():
                self._silent = (key, self.silence(self._learned_state(1), seconds))
        hidden, cell = self._silent[1]
        return hidden.expand(-1, batch, -1).contiguous(), cell.expand(-1, batch, -1).contiguous()

    @torch.no_grad()
    def silence(self, state: State, seconds: float, knobs: Tensor | None = None) -> State:
        """The state after some silence at the net's own rate; it ends early once the state no longer moves.

        Args:
            state: hidden and cell, each ``(N, B, H)``.
            seconds: length of the silence.
            knobs: ``(B, K)``, or None for a net without.
        """
        left = round(seconds * (self.sample_rate or DEFAULT_RATE))
        batch = state[0].shape[1]
        while left > 0:
            zeros = state[0].new_zeros(batch, min(SETTLE_BLOCK, left))
            before = state
            mode, self.core.training = self.core.training, False  # no dropout here
            _, state = self._run(self.join(zeros) if knobs is None else self.join(zeros, knobs), state)
            self.core.training = mode
            left -= SETTLE_BLOCK
            if not is_tracing() and _distance(state, before) <= SETTLED:
                break
        return state

    def runs_on(self, device: torch.device | str = "cpu") -> str:
        """See :meth:`Net.runs_on`."""
        return native.report(self, device)

    # -- export ------------------------------------------------------------------------------------

    def scale_output(self, gain: float) -> None:
        """Multiply the output by `gain`: the linear output layer."""
        with torch.no_grad():
            self.head.weight.mul_(gain)
            self.head.bias.mul_(gain)

    def frozen(self, knobs: tuple[float, ...] | Tensor) -> LSTM:
        """A net without knobs that plays as this one at a fixed setting: constant inputs are biases.

        Args:
            knobs: K values.
        """
        values = torch.as_tensor(knobs, dtype=self.head.weight.dtype, device=self.head.weight.device)
        core = self.core
        if len(values) != self.num_knobs:
            raise ValueError(f"expected {self.num_knobs} knob values, but got {len(values)}")
        plain = LSTM(
            core.hidden_size,
            core.num_layers,
            train_burn_in=self.train_burn_in,
            train_truncate=self.train_truncate,
            dropout=core.dropout,
            export_silence=self.export_silence,
            sample_rate=self.sample_rate,
        ).to(values)
        with torch.no_grad():
            own = dict(self.named_parameters())
            for name, parameter in plain.named_parameters():
                if name in own and name != "core.weight_ih_l0":
                    parameter.copy_(own[name])
                elif name not in own:
                    parameter.zero_()
            made, weight = dict(plain.core.named_parameters()), own["core.weight_ih_l0"]
            made["weight_ih_l0"].copy_(weight[:, :1])
            made["bias_ih_l0"].add_(weight[:, 1:] @ values)
        return plain.train(self.training)

    def handshake(self, dataset: Any) -> None:
        """See :meth:`Net.handshake`; the number of knobs must fit, too."""
        super().handshake(dataset)
        check_knobs(self.num_knobs, dataset)

    def engine_net(self) -> Net:
        """This net, with its knobs at `export_knobs`."""
        return self if self.export_knobs is None else self.frozen(self.export_knobs)

    def export_conditions(self) -> tuple[Tensor, ...]:
        """The knobs that the exported file plays at, ``(1, K)``."""
        return () if self.export_knobs is None else (self.head.weight.new_tensor([self.export_knobs]),)

    def export_obstacles(self, exporter: str) -> list[str]:
        """See :meth:`Net.export_obstacles`."""
        reasons = super().export_obstacles(exporter)
        if exporter == "nam" and self.num_conditions and self.export_knobs is None:
            reasons.append(
                "a .nam file has no knobs: set `export_knobs` to the setting that it shall play, "
                "or export TorchScript only"
            )
        return reasons

    def export_config(self) -> dict[str, Any]:
        """The three sizes."""
        return {
            "input_size": 1 if self.export_knobs else self.core.input_size,
            "hidden_size": self.core.hidden_size,
            "num_layers": self.core.num_layers,
        }

    def export_weights(self) -> Weights:
        """Per layer both matrices side by side, the summed biases, and the state after `export_silence`."""
        net = self.engine_net()
        return flat(net._file_tensors()) if isinstance(net, LSTM) else net.export_weights()

    def _file_tensors(self) -> Iterator[Tensor]:
        hidden, cell = self.silence(self._learned_state(1), self.export_silence)
        for layer in range(self.core.num_layers):
            weight, bias = self._layer_tensors(layer)
            yield from (weight, bias, hidden[layer, 0], cell[layer, 0])
        yield self.head.weight
        yield self.head.bias

    def _layer_tensors(self, layer: int) -> State:
        """Weight ``(4H, I + H)`` and bias ``(4H,)``, gates in the order i, f, g, o."""
        core = self.core
        weight = torch.cat(
            [getattr(core, f"weight_ih_l{layer}"), getattr(core, f"weight_hh_l{layer}")], dim=1
        )
        if not core.bias:
            return weight, weight.new_zeros(4 * core.hidden_size)
        return weight, getattr(core, f"bias_ih_l{layer}") + getattr(core, f"bias_hh_l{layer}")

    def import_weights(self, weights: Any) -> int:
        """Read the weights of a file, whose settled state becomes the learned one (and `export_silence` 0).

        Raises:
            NamFileError: another number of weights than the net has.
            ValueError: the net has no biases.
        """
        core, source = self.core, WeightSource(weights)
        if not core.bias:
            raise ValueError("expected an LSTM with biases to read weights into, but got `bias` false")
        with torch.no_grad():
            for layer in range(core.num_layers):
                weight, bias = self._layer_tensors(layer)
                weight, bias = torch.empty_like(weight), torch.empty_like(bias)
                source.fill(weight, bias, self.initial_hidden[layer], self.initial_cell[layer])
                inputs = getattr(core, f"weight_ih_l{layer}").shape[1]
                getattr(core, f"weight_ih_l{layer}").copy_(weight[:, :inputs])
                getattr(core, f"weight_hh_l{layer}").copy_(weight[:, inputs:])
                getattr(core, f"bias_ih_l{layer}").copy_(bias)
                getattr(core, f"bias_hh_l{layer}").zero_()
        source.fill(self.head.weight, self.head.bias)
        self.export_silence = 0.0
        self._silent = None
        return source.finish()


def _distance(one: State, other: State) -> float:
    """The largest difference between two states."""
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))
