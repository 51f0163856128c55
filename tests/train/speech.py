"""Tiny speech-like pairs on disk, their manifests, and the three JSONs of an enhancement run."""

import json

import numpy as np
import soundfile as sf

RATE = 8000
STFT = {"fft_length": 126, "hop_length": 32}
NET = {
    "name": "MaskEnhancer",
    "config": {
        "encoder": {"name": "AudioToSpectrogram", "config": STFT},
        "mask_estimator": {
            "name": "MaskEstimatorRNN",
            "config": {"num_outputs": 1, "num_subbands": 64, "num_features": 8, "num_layers": 1},
        },
        "mask_processor": {"name": "MaskReferenceChannel", "config": {}},
        "decoder": {"name": "SpectrogramToAudio", "config": STFT},
    },
}


def pair(seed, seconds, channels=1):
    """A chirping harmonic tone, and the same with noise; both (T,) or (T, C)."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = 150 + 60 * np.sin(2 * np.pi * (1 + seed) * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    clean = 0.2 * sum(np.sin(k * phase) / k for k in (1, 2, 3)) * (np.sin(2 * np.pi * 2 * time) > 0)
    noise = 0.15 * rng.normal(size=(len(time), channels))
    noisy = clean[:, None] + noise
    return clean, noisy[:, 0] if channels == 1 else noisy


def write_pairs(folder, name, seconds, first=0, channels=1):
    """A manifest `<name>.json` with one pair of each length."""
    lines = []
    for number, length in enumerate(seconds, start=first):
        clean, noisy = pair(number, length, channels)
        for kind, samples in (("clean", clean), ("noisy", noisy)):
            sf.write(folder / f"{name}{number}_{kind}.wav", samples, RATE, subtype="FLOAT")
        line = {f"{kind}_filepath": f"{name}{number}_{kind}.wav" for kind in ("noisy", "clean")}
        lines.append(json.dumps({**line, "duration": length}))
    (folder / f"{name}.json").write_text("\n".join(lines))


def write_enhancement(folder, data=None, model=None, learning=None, channels=1):
    """Write the pairs and JSONs; the arguments are merged into the files on their top level."""
    folder.mkdir(parents=True, exist_ok=True)
    write_pairs(folder, "train", [1.0, 0.8, 1.2, 0.9], channels=channels)
    write_pairs(folder, "val", [0.9, 0.6, 1.1], first=10, channels=channels)
    files = {
        "data": {
            "type": "manifest",
            "common": {
                "sample_rate": RATE,
                "input_key": "noisy_filepath",
                "target_key": "clean_filepath",
            },
            "train": {"manifest_filepath": "train.json", "audio_duration": 0.5, "random_offset": True},
            "validation": {"manifest_filepath": "val.json"},
            **(data or {}),
        },
        "model": {
            "net": NET,
            "optimizer": {"lr": 0.01},
            "loss": {"terms": {"sisdr": {"name": "SDR", "config": {"scale_invariant": True}}}},
            "metrics": {"val": {"sisdr": "ScaleInvariantSignalDistortionRatio"}},
            **(model or {}),
        },
        "learning": {
            "train_dataloader": {"batch_size": 2, "shuffle": True},
            "val_dataloader": {},
            "trainer": {
                "max_epochs": 2,
                "accelerator": "cpu",
                "devices": 1,
                "enable_progress_bar": False,
            },
            **(learning or {}),
        },
    }
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder
