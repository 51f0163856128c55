import numpy as np
import pytest

from nam_like.audio import checks
from nam_like.errors import UserError

RATE = 48000


def noise(length=48000, seed=0, amplitude=0.3):
    return amplitude * np.random.default_rng(seed).uniform(-1, 1, length)


@pytest.mark.parametrize(
    ("samples", "text"),
    [(0, "0:00:00.000"), (48000 * 3661 + 24, "1:01:01.000"), (48, "0:00:00.001"), (2879990, "0:01:00.000")],
)
def test_duration(samples, text):
    assert checks.format_duration(samples, RATE) == text


def test_every_error_is_a_user_error():
    for name in checks.__all__:
        if name.endswith("Error"):
            assert issubclass(getattr(checks, name), UserError)


def test_finite():
    samples = noise()
    checks.check_finite(samples, "y")
    samples[[7, 9]] = np.nan, np.inf
    with pytest.raises(
        checks.NotFiniteError, match=r"y: .* got 2 NaN or infinite ones, the first at sample 7"
    ):
        checks.check_finite(samples, "y")


def test_silent():
    checks.check_not_silent(noise(), "y")
    with pytest.raises(checks.SilentError, match="all 100 samples are zero"):
        checks.check_not_silent(np.zeros(100), "y")
    sine = np.sin(np.arange(48000)) * np.sqrt(2)
    checks.check_not_silent(sine * 10 ** (-89.9 / 20), "y")
    with pytest.raises(checks.SilentError, match=r"at least -90 dBFS, but got -90\.1 dBFS"):
        checks.check_not_silent(sine * 10 ** (-90.1 / 20), "y")


@pytest.mark.parametrize("value", [1.0, -1.0, 1.7])
def test_one_sample_beyond_full_scale_clips(value):
    samples = noise()
    samples[123] = value
    with pytest.raises(checks.ClippedError, match="the first at sample 123"):
        checks.check_not_clipped(samples, "y")


@pytest.mark.parametrize("bits", [16, 24])
def test_flat_tops_of_a_clipping_converter(bits):
    full = 2.0 ** (bits - 1)
    sine = 1.2 * np.sin(2 * np.pi * np.arange(4800) / 480)
    clipped = np.clip(np.rint(sine * full), -full + 1, full - 1) / full
    assert np.abs(clipped).max() < 1.0
    expected_first = int(np.flatnonzero(clipped == clipped.max())[0])
    with pytest.raises(
        checks.ClippedError, match=rf"20 flat top\(s\) .* the first at sample {expected_first}"
    ):
        checks.check_not_clipped(clipped, "y")
    checks.check_not_clipped(np.clip(sine, -0.9, 0.9), "y")  # a fuzz box, not a converter


def test_few_peaks_at_full_scale_do_not_clip():
    samples = noise()
    samples[10:13] = 1 - 2**-15
    samples[20:26] = [1 - 2**-15, -1 + 2**-15] * 3
    samples[-1] = 1 - 2**-15
    checks.check_not_clipped(samples, "y")
    samples[10:14] = 1 - 2**-15
    with pytest.raises(checks.ClippedError, match=r"1 flat top\(s\) .* sample 10, the longest 4"):
        checks.check_not_clipped(samples, "y")


def test_lengths():
    checks.check_same_length(np.zeros(10), np.zeros(10), RATE)
    with pytest.raises(checks.LengthMismatchError) as caught:
        checks.check_same_length(np.zeros(96000), np.zeros(96480), RATE, ("in.wav", "out.wav"))
    for part in (
        "in.wav and out.wav",
        "0:00:02.000 (96000 samples)",
        "0:00:02.010 (96480",
        "480 samples apart",
    ):
        assert part in str(caught.value)


def test_pre_silence():
    x = noise(50_000)
    x[10_000:30_000] = 0
    checks.check_pre_silence(x, 30_000, RATE, 0.4)
    checks.check_pre_silence(x, 29_500, RATE, 0.4)
    checks.check_pre_silence(x, -20_000, RATE, 0.4)
    checks.check_pre_silence(x, 0, RATE, 0.4)
    checks.check_pre_silence(x, 5_000, RATE, None)
    x[15_000] = -0.25
    with pytest.raises(checks.PreSilenceError) as caught:
        checks.check_pre_silence(x, 30_000, RATE, 0.4, "dry.wav")
    for part in (
        "dry.wav",
        "0.4 s (19200 samples)",
        "sample 30000",
        "0.25 (-12.0 dBFS)",
        "at sample 15000",
        "null",
    ):
        assert part in str(caught.value)
    x[:20_000] = 0
    checks.check_pre_silence(x, 10_000, RATE, 0.4)  # only as much as there is


def test_dc_offset():
    assert checks.dc_offset_warning(noise(), "y") is None
    assert checks.dc_offset_warning(np.full(10, 5e-4), "y") is None
    assert "DC offset of 0.2" in checks.dc_offset_warning(noise() + 0.2, "y")


def test_identical():
    assert "identical" in checks.identical_warning(noise(), noise())
    assert checks.identical_warning(noise(), noise(seed=1)) is None
    assert checks.identical_warning(noise(), noise()[1:]) is None


def test_polarity():
    x = noise()
    assert checks.polarity_warning(x, np.tanh(3 * x)) is None
    assert "inverted" in checks.polarity_warning(x, -np.tanh(3 * np.roll(x, 20)))
    assert checks.polarity_warning(x, noise(seed=1)) is None
    assert checks.polarity_warning(x, np.zeros(x.size)) is None


def test_pair_warnings_collects_all():
    x = noise()
    assert checks.pair_warnings(x, np.tanh(x)) == []
    found = checks.pair_warnings(x, 0.3 - x, ("a", "b"))
    assert len(found) == 2
    assert found[0].startswith("b: the signal has a DC offset")
    assert found[1].startswith("b: the polarity")


@pytest.mark.parametrize("lag", [-500, -30, 0, 20, 60, 5000])
def test_delay(lag):
    x = noise(48000 * 3)
    found = checks.delay_warning(x, -np.tanh(3 * np.roll(x, lag)), ("a", "b"))
    if lag < 0:
        assert f"b: it seems to come about {-lag} samples before a" in found
    elif lag > checks.LATE:
        assert f"lag a by about {lag} samples" in found
    else:
        assert found is None
    assert checks.delay_warning(x, noise(48000 * 3, seed=1)) is None
    assert checks.delay_warning(x, np.zeros(x.size)) is None
