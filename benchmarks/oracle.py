"""torchaudio's LFCC: what ours is tested and measured against."""

from torchaudio.transforms import LFCC

from srctrace.frontends.lfcc import LfccOptions


def torchaudio_lfcc(options: LfccOptions) -> LFCC:
    """The transform with these options; its floor is that of a batch, and not of each utterance."""
    return LFCC(
        options.sample_rate,
        n_filter=options.n_filter,
        f_min=options.f_min,
        f_max=options.f_max,
        n_lfcc=options.n_lfcc,
        log_lf=options.log_lf,
        speckwargs={
            "n_fft": options.n_fft,
            "win_length": options.win_length,
            "hop_length": options.hop_length,
            "center": options.center,
        },
    )
