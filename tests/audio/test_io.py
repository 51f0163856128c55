import struct
import wave

import numpy as np
import pytest
import soundfile
import wavio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nam_like.audio import io
from nam_like.audio.io import AudioError, audio_info, read_audio, write_audio
from nam_like.errors import UserError

RATE = 48000
BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


def noise(length=1000, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, length)


@pytest.fixture
def pcm24(tmp_path):
    path = tmp_path / "a.wav"
    write_audio(path, noise(), RATE)
    return path


@pytest.mark.parametrize("subtype", BITS)
@given(data=st.data())
def test_integers_survive_exactly(tmp_path_factory, subtype, data):
    bits = BITS[subtype]
    integers = data.draw(
        hnp.arrays(
            np.int64, st.integers(1, 50), elements=st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
    )
    path = tmp_path_factory.mktemp("pcm") / "a.wav"
    write_audio(path, integers / 2.0 ** (bits - 1), RATE, subtype=subtype)
    np.testing.assert_array_equal(wavio.read(str(path)).data[:, 0], integers)
    expected, _ = soundfile.read(path, dtype="float64")
    got = read_audio(path, dtype=np.float64)
    np.testing.assert_array_equal(got.samples, expected)
    np.testing.assert_array_equal(got.samples * 2.0 ** (bits - 1), integers)
    assert got.subtype == subtype


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("file_format", ["WAV", "WAVEX"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reads_what_soundfile_reads(tmp_path, subtype, file_format, dtype):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(501), RATE, subtype=subtype, format=file_format)
    expected, _ = soundfile.read(path, dtype=dtype)
    audio = read_audio(path, dtype=dtype)
    assert audio.samples.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(audio.samples, expected)
    assert (audio.sample_rate, audio.path, audio.subtype) == (RATE, path, subtype)
    info = audio_info(path)
    assert (info.sample_rate, info.frames, info.channels, info.subtype) == (RATE, 501, 1, subtype)
    assert info.format == file_format


def test_8_bit_is_centred(tmp_path):
    path = tmp_path / "a.wav"
    wavio.write(str(path), np.array([0, 64, 128, 255], dtype=np.uint8), RATE)
    np.testing.assert_array_equal(read_audio(path).samples, [-1, -0.5, 0, 127 / 128])


@pytest.mark.parametrize(("suffix", "subtype"), [(".flac", "PCM_16"), (".flac", "PCM_24"), (".wav", "FLOAT")])
def test_lossless_formats_round_trip_exactly(tmp_path, suffix, subtype):
    samples = np.rint(noise() * 2**15) / 2**15
    write_audio(tmp_path / f"a{suffix}", samples, 44100, subtype=subtype)
    audio = read_audio(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(audio.samples, samples)
    assert (audio.sample_rate, audio.subtype) == (44100, subtype)


def test_float_wav_keeps_values_beyond_full_scale(tmp_path):
    write_audio(tmp_path / "a.wav", np.array([2.5, -3.0]), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav").samples, [2.5, -3.0])


def test_long_ogg_does_not_crash(tmp_path):
    time = np.arange(70 * RATE) / RATE
    samples = 0.5 * np.sin(2 * np.pi * 440 * time)
    write_audio(tmp_path / "a.ogg", samples, RATE)
    got = read_audio(tmp_path / "a.ogg").samples
    assert got.shape == samples.shape
    assert np.sqrt(np.mean((got - samples) ** 2)) < 0.01


def test_mp3_is_read(tmp_path):
    soundfile.write(tmp_path / "a.mp3", noise(RATE), RATE)
    assert read_audio(tmp_path / "a.mp3").sample_rate == RATE
    with pytest.raises(AudioError, match="expected the name to end in"):
        write_audio(tmp_path / "b.mp3", noise(), RATE)


def test_stereo_needs_a_channel(tmp_path):
    path = tmp_path / "a.wav"
    both = np.stack([noise(seed=1), noise(seed=2)], axis=1)
    for subtype in ("PCM_24", "FLOAT"):
        soundfile.write(path, both, RATE, subtype=subtype)
        expected, _ = soundfile.read(path, dtype="float32")
        with pytest.raises(AudioError, match=r"expected 1 channel, but got 2 \(`channel: 0`"):
            read_audio(path)
        for channel in (0, 1):
            np.testing.assert_array_equal(read_audio(path, channel=channel).samples, expected[:, channel])
        for channel in (-1, 2):
            with pytest.raises(AudioError, match=f"from 0 to 1, but got {channel}"):
                read_audio(path, channel=channel)


def test_wrong_rate(pcm24):
    with pytest.raises(AudioError, match="expected a sample rate of 44100 Hz, but got 48000 Hz"):
        read_audio(pcm24, sample_rate=44100)
    audio = read_audio(pcm24, sample_rate=24000, resample=True)
    assert (audio.sample_rate, audio.samples.shape) == (24000, (500,))
    assert read_audio(pcm24, sample_rate=RATE, resample=True).samples.shape == (1000,)


def test_missing_soxr_names_the_extra(pcm24, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soxr", None)
    with pytest.raises(UserError, match=r"nam_like\[resample\]"):
        read_audio(pcm24, sample_rate=44100, resample=True)


def test_missing_folder_and_empty(tmp_path):
    (tmp_path / "empty.wav").touch()
    for path, message in (
        (tmp_path / "none.wav", "no such file"),
        (tmp_path, "but got a folder"),
        (tmp_path / "empty.wav", "0 bytes"),
    ):
        for read in (read_audio, audio_info):
            with pytest.raises(AudioError, match=message) as caught:
                read(path)
            assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"hello world, no audio here", b"RIFF\x00\x00\x00\x00AVI LIST", b"x"])
def test_not_audio(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match="not an audio file"):
        read_audio(path)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_every_truncation_of_a_wav_is_noticed(tmp_path, subtype):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(40), RATE, subtype=subtype)
    whole = path.read_bytes()
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(AudioError):
            read_audio(path)
    path.write_bytes(whole[:-3])
    with pytest.raises(AudioError, match="truncated: the header promises"):
        audio_info(path)


def test_truncated_flac(tmp_path):
    path = tmp_path / "a.flac"
    write_audio(path, noise(50000), RATE)
    whole = path.read_bytes()
    for length in (len(whole) - 100, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(AudioError, match="truncated"):
            read_audio(path)


def test_no_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), RATE)
    with pytest.raises(AudioError, match="holds no samples"):
        read_audio(tmp_path / "a.wav")


def test_recording_that_was_never_closed(pcm24):
    data = bytearray(pcm24.read_bytes())
    data[40:44] = struct.pack("<I", 0)
    pcm24.write_bytes(data)
    with pytest.raises(AudioError, match="stopped without closing"):
        read_audio(pcm24)


def test_streamed_header_without_length_is_read_whole(pcm24):
    expected = read_audio(pcm24).samples
    data = bytearray(pcm24.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    pcm24.write_bytes(data)
    np.testing.assert_array_equal(read_audio(pcm24).samples, expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path, bad):
    samples = noise(10).astype(np.float32)
    samples[3] = bad
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="1 NaN or infinite ones, the first at sample 3"):
        read_audio(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="expected finite"):
        write_audio(tmp_path / "b.wav", samples, RATE)
    assert not (tmp_path / "b.wav").exists()


def test_unknown_chunks_and_padding_are_skipped(tmp_path, pcm24):
    expected = read_audio(pcm24).samples
    data = pcm24.read_bytes()
    odd = b"note" + struct.pack("<I", 3) + b"abc\x00"
    path = tmp_path / "b.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(data) - 8 + len(odd)) + data[8:36] + odd + data[36:])
    np.testing.assert_array_equal(read_audio(path).samples, expected)


def test_clipping_is_logged_and_clipped(tmp_path, caplog):
    write_audio(tmp_path / "a.wav", np.array([1.5, -1.5, 0.5, 1.0, -1.0]), RATE, subtype="PCM_16")
    assert "2 of 5 samples beyond full scale" in caplog.text
    integers = wavio.read(str(tmp_path / "a.wav")).data[:, 0]
    np.testing.assert_array_equal(integers, [32767, -32768, 16384, 32767, -32768])


def test_bad_writes(tmp_path):
    with pytest.raises(AudioError, match=r"expected samples of shape \(L,\)"):
        write_audio(tmp_path / "a.wav", np.zeros((3, 2)), RATE)
    with pytest.raises(AudioError, match=r"expected samples of shape \(L,\)"):
        write_audio(tmp_path / "a.wav", np.zeros(0), RATE)
    with pytest.raises(AudioError, match=r"one of PCM_24, PCM_16 in a \.flac file, but got FLOAT"):
        write_audio(tmp_path / "a.flac", noise(), RATE, subtype="FLOAT")
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(AudioError, match="cannot be written"):
        write_audio(tmp_path / "folder.wav", noise(), RATE)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.wav"]


def test_failed_write_keeps_the_old_file(pcm24, monkeypatch):
    before = pcm24.read_bytes()

    def fail(path, *args, **kwargs):
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wavio, "write", fail)
    with pytest.raises(AudioError, match="No space left"):
        write_audio(pcm24, noise(), RATE)
    assert pcm24.read_bytes() == before
    assert list(pcm24.parent.iterdir()) == [pcm24]


def test_wav_that_python_wrote(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 44100, 0, "NONE", ""))
        file.writeframes(struct.pack("<3h", -32768, 0, 32767))
    np.testing.assert_array_equal(io.read_audio(tmp_path / "a.wav").samples, [-1, 0, 32767 / 32768])
