"""What the core is measured against: the same work, done as well as other libraries allow."""

from collections.abc import Sequence
from pathlib import Path

import kaldi_native_fbank
import librosa
import numpy as np
import scipy.fft
import scipy.signal
import soundfile
import torch

from benchmarks.oracle import torchaudio_lfcc
from benchmarks.preprocess.work import RATE
from srctrace.augment import ADD, REVERB, Mix
from srctrace.bank import Bank
from srctrace.frontends.lfcc import LfccOptions


class ScipyLfcc:
    """LFCC with NumPy and SciPy, a batch at a time."""

    def __init__(self, options: LfccOptions):
        self.options = options
        self.window = scipy.signal.get_window("hann", options.win_length).astype(np.float32)
        left = (options.n_fft - options.win_length) // 2
        self.window = np.pad(self.window, (left, options.n_fft - options.win_length - left))
        self.filters = torchaudio_lfcc(options).filter_mat.numpy().astype(np.float32)

    def __call__(self, waves: np.ndarray) -> np.ndarray:
        options = self.options
        if options.center:
            waves = np.pad(waves, ((0, 0), (options.n_fft // 2,) * 2), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(waves, options.n_fft, 1)[:, :: options.hop_length]
        return self.from_spectrum(scipy.fft.rfft(frames * self.window))

    def from_spectrum(self, spectrum: np.ndarray) -> np.ndarray:
        """From `(batch, frames, bins)`."""
        energies = (spectrum.real**2 + spectrum.imag**2) @ self.filters
        levels = 10 * np.log10(np.maximum(energies, 1e-10))
        levels = np.maximum(levels, levels.max((1, 2), keepdims=True) - 80)
        return scipy.fft.dct(levels, norm="ortho")[..., : self.options.n_lfcc].swapaxes(1, 2)


def librosa_lfcc(waves: np.ndarray, scipy_lfcc: ScipyLfcc) -> np.ndarray:
    """librosa's spectrum, an utterance at a time; it has no LFCC."""
    options = scipy_lfcc.options
    spectra = [
        librosa.stft(
            wave,
            n_fft=options.n_fft,
            hop_length=options.hop_length,
            win_length=options.win_length,
            center=options.center,
        )
        for wave in waves
    ]
    return scipy_lfcc.from_spectrum(np.stack(spectra).swapaxes(1, 2))


def kaldi_fbank(waves: np.ndarray, options: LfccOptions) -> list[np.ndarray]:
    """80 logarithmic mel energies, an utterance at a time: the nearest that kaldi-native-fbank has."""
    choices = kaldi_native_fbank.FbankOptions()
    choices.frame_opts.dither = 0
    choices.frame_opts.frame_length_ms = 1000 * options.win_length / RATE
    choices.frame_opts.frame_shift_ms = 1000 * options.hop_length / RATE
    choices.mel_opts.num_bins = 80
    features = []
    for wave in waves:
        fbank = kaldi_native_fbank.OnlineFbank(choices)
        fbank.accept_waveform(RATE, wave)
        fbank.input_finished()
        features.append(np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)]))
    return features


def numpy_mix(wave: np.ndarray, mix: Mix, bank: Bank) -> np.ndarray:
    """One variant with NumPy and SciPy in float32, the bank in memory; `wave` is float32."""
    if mix.kind == REVERB:
        response = bank.signal(mix.records[0]).astype(np.float32)
        return scipy.signal.fftconvolve(wave, response / np.linalg.norm(response))[: len(wave)]
    if mix.kind != ADD:
        return wave
    noise = np.zeros(len(wave), np.float32)
    for record, place in zip(mix.records, mix.places, strict=True):
        stretch = stretch_of(bank.signal(record), place, len(wave)).astype(np.float32)
        noise += stretch / np.sqrt(np.dot(stretch, stretch))
    gain = np.sqrt(np.dot(wave, wave) / np.dot(noise, noise) * 10 ** (-mix.snr / 10))
    return wave + np.float32(gain) * noise


def best_python(waves: np.ndarray, mixes: Sequence[Sequence[Mix]], bank: Bank, transform) -> list[torch.Tensor]:
    """Five variants and their LFCCs: NumPy, SciPy, torchaudio; `waves` is int16."""
    features = []
    for wave, variants in zip(waves, mixes, strict=True):
        clean = wave.astype(np.float32) / np.float32(32768)
        for mix in variants:  # one at a time is torchaudio's fastest way here
            features.append(transform(torch.from_numpy(numpy_mix(clean, mix, bank))))
    return features


def reference(
    waves: Sequence[np.ndarray], mixes: Sequence[Sequence[Mix]], files: Sequence[Path], transform
) -> list[torch.Tensor]:
    """Five variants and their LFCCs as published code makes them: each noise file loaded whole; `waves` is float32."""
    features = []
    for wave, variants in zip(waves, mixes, strict=True):
        for mix in variants:
            features.append(transform(torch.from_numpy(reference_mix(wave, mix, files))[None]))
    return features


def reference_mix(wave: np.ndarray, mix: Mix, files: Sequence[Path]) -> np.ndarray:
    if mix.kind == REVERB:
        response, _ = soundfile.read(files[mix.records[0]])
        return scipy.signal.convolve(wave, response / np.sqrt(np.sum(response**2)))[: len(wave)].astype(np.float32)
    if mix.kind != ADD:
        return wave
    noises = []
    for record, place in zip(mix.records, mix.places, strict=True):
        signal, _ = soundfile.read(files[record])
        stretch = stretch_of(signal, place, len(wave))
        noises.append(stretch / np.sqrt(np.mean(stretch**2)))
    noise = np.sum(noises, axis=0)
    gain = np.sqrt(np.mean(wave**2) / np.mean(noise**2) * 10 ** (-mix.snr / 10))
    return (wave + gain * noise).astype(np.float32)


def stretch_of(signal: np.ndarray, place: float, samples: int) -> np.ndarray:
    if len(signal) < samples:
        signal = np.tile(signal, -(-samples // len(signal)))
    start = int(place * (len(signal) - samples + 1))
    return signal[start : start + samples]
