"""espeak-ng, called in process.

The library keeps state from one utterance to the next (the phase of the pitch wavering, of the glottal wave, of its
noise), so it is loaded afresh for each: an utterance depends on the voice and the words only, not on what was said
before it. That costs 3 ms. It is global state all the same: one utterance at a time in a process.
"""

import _ctypes
import ctypes
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from srctrace.errors import UserError

SAMPLE_RATE = 22050
"""What espeak-ng speaks at."""

VOICE_OF = {"en": "gmw/en", "de": "gmw/de", "fr": "roa/fr", "it": "roa/it", "pl": "zlw/pl", "ru": "zle/ru"}
"""Language to espeak's voice file."""

DATA_FILES = ("phontab", "phonindex", "phondata", "intonations")
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: speech goes to the callback, and no thread is started
_NO_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: a bad data folder is an error code, not the end of the process
_UTF8 = 1
_RATE, _VOLUME = 1, 2
_QUIETER = 50  # %; at espeak's own 100 its Klatt synthesiser clips
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def require_espeak() -> None:
    """Raise a UserError if the optional package that carries espeak-ng is not there."""
    try:
        import espeakng_loader  # noqa: F401, PLC0415
    except ImportError:
        raise UserError("the built-in corpus needs espeak-ng: pip install -e '.[builtin]'") from None


def make_data_folder(folder: Path, language: str, variants: Mapping[str, str]) -> Path:
    """A private espeak data folder that knows one language and `variants` (name to the text of the voice file).

    espeak reads every voice file it finds when it starts, so fewer are faster. The English dictionary is there because
    other languages fall back on it for foreign words.
    """
    import espeakng_loader  # noqa: PLC0415

    packaged = Path(espeakng_loader.get_data_path())
    data = folder / "espeak-ng-data"
    (data / "voices" / "!v").mkdir(parents=True)
    dictionaries = {f"{language}_dict", "en_dict"}
    for name in sorted({*DATA_FILES, *dictionaries}):
        (data / name).symlink_to(packaged / name)
    voice = data / "lang" / VOICE_OF[language]
    voice.parent.mkdir(parents=True)
    voice.symlink_to(packaged / "lang" / VOICE_OF[language])
    for name, text in variants.items():
        (data / "voices" / "!v" / name).write_text(text)
    return data


def synthesise(data: Path, language: str, variant: str, rate: int, words: str) -> np.ndarray:
    """Speak `words`: int16 `(samples,)` at `SAMPLE_RATE`.

    Arguments:
        data: what `make_data_folder` returned.
        rate: words per minute.

    Raises:
        RuntimeError: espeak refused, or said nothing.
    """
    import espeakng_loader  # noqa: PLC0415

    chunks: list[np.ndarray] = []

    @_Callback
    def keep(samples, count, _events):
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        started = library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data.parent), _NO_EXIT)
        if started != SAMPLE_RATE:
            raise RuntimeError(f"espeak-ng did not start with the data in {data} (it returned {started})")
        library.espeak_SetSynthCallback(keep)
        text = words.encode()
        refused = (
            library.espeak_SetVoiceByName(f"{language}+{variant}".encode())
            or library.espeak_SetParameter(_RATE, rate, 0)
            or library.espeak_SetParameter(_VOLUME, _QUIETER, 0)
            or library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None)
            or library.espeak_Synchronize()
        )
        library.espeak_Terminate()
    finally:
        _ctypes.dlclose(library._handle)
    if refused or not chunks:
        raise RuntimeError(f"espeak-ng did not speak {words!r} as {language}+{variant} (it returned {refused})")
    return np.concatenate(chunks)
