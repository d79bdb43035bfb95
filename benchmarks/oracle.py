"""torchaudio's LFCC, which all others are measured against."""

from torchaudio.transforms import LFCC

from srctrace.frontends.lfcc import LfccOptions


def torchaudio_lfcc(options: LfccOptions) -> LFCC:
    """The transform with these options; its floor is that of a batch, and not of each utterance."""
    return LFCC(
        options.sample_rate,
        n_filter=options.n_filter,
        n_lfcc=options.n_lfcc,
        speckwargs={
            "n_fft": options.n_fft,
            "win_length": options.win_length,
            "hop_length": options.hop_length,
            "center": options.center,
        },
    )
