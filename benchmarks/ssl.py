"""What SSL front-ends take: `python -m benchmarks.ssl`, from an activated environment, on an idle machine.

Frozen: hidden states of utterances in two variants, as a run extracts and stores them; beside it the published way, in
fp32, without fused attention, and once more for each of three systems. Fine-tuned: steps of the model with AASIST, at
the largest batch that fits a GPU (`--batch` otherwise), and the share of the device's peak, by the operations of the
matrix products and convolutions.

Weights are random: they change no time. Writes `benchmarks/results/ssl-DEVICE.md`.

    python -m benchmarks.ssl --sizes xls-r-300m --device cuda
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from srctrace import provenance
from srctrace.audio import SAMPLE_RATE
from srctrace.augment import augment
from srctrace.device import prepare
from srctrace.features import Utterances
from srctrace.frontends.frozen import pack_hidden
from srctrace.frontends.options import SslOptions
from srctrace.frontends.ssl import SslEncoder, load_encoder, read_pinned
from srctrace.frontends.weights import pin
from srctrace.model import SourceTracer
from srctrace.store import write_store
from tests.noise_files import small_bank

SAMPLES = 4 * SAMPLE_RATE
SYSTEMS = 3  # that the published way computes features for, one after the other
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
SIZES = {
    "small": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024}
    | {"conv_dim": (256,) * 7},
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    "xls-r-300m": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
}
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}  # FLOP/s, bf16 with dense matrices, of the data sheets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["small", "xls-r-300m"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", choices=["bf16", "fp16", "fp32"], default="bf16", help="on a GPU")
    parser.add_argument("--utterances", type=int, default=0, help="to extract; 0: 512 on a GPU, 6 on a CPU")
    parser.add_argument("--batch", type=int, default=4, help="utterances in a step on a CPU")
    parser.add_argument("--runs", type=int, default=3, help="the median of so many is given")
    parser.add_argument("--threads", type=int, default=2, help="on a CPU")
    arguments = parser.parse_args()
    device = prepare(arguments.device, arguments.threads)
    machine = provenance.machine()
    on_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name() if on_gpu else f"{machine['processor']}, {arguments.threads} threads"
    precision = arguments.precision if on_gpu else "fp32"
    lines = [
        "# SSL front-ends",
        "",
        f"{name}; {machine['system']}; torch {torch.__version__}; {precision}. By `benchmarks/ssl.py`: random weights, "
        f"utterances of 4 s, medians of {arguments.runs} runs, rivals in turns.",
    ]
    peak = peak_of(device)
    with tempfile.TemporaryDirectory() as temporary:
        for size in arguments.sizes:
            record = make_checkpoint(size, Path(temporary) / size)
            lines += ["", f"## {size}", "", *extraction(record, Path(temporary) / size, arguments, device)]
            lines += ["", *fine_tuning(record, arguments, device, peak)]
    (Path(__file__).parent / "results" / f"ssl-{device.type}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def make_checkpoint(size: str, folder: Path) -> dict:
    torch.manual_seed(0)
    Wav2Vec2Model(Wav2Vec2Config(**SIZES[size], **LARGE)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    pin(str(folder), "main", folder / "pinned.json")
    return read_pinned(folder / "pinned.json")


def extraction(record: dict, folder: Path, arguments: argparse.Namespace, device: torch.device) -> list[str]:
    count = arguments.utterances or (512 if device.type == "cuda" else 6)
    rng = np.random.default_rng(0)
    waves = (3000 * rng.normal(size=(count, SAMPLES))).astype(np.int16)
    write_store(folder / "waves.npy", ["utterance"], (({"utterance": str(i)}, wave) for i, wave in enumerate(waves)))
    if not (folder / "bank.npy").exists():
        small_bank(folder)
    split_of = {str(index): "train" for index in range(count)}
    utterances = Utterances.open(folder / "waves.npy", folder / "bank.npy", split_of, ["clean", "noise"], 0)
    options = SslOptions(arguments.precision, 256.0 if device.type == "cuda" else 16.0)

    def ours() -> tuple[float, float]:
        begin = time.perf_counter()
        pace = pack_hidden(
            utterances, record, "last", folder / "ours.npy", options, "float16", device.type, arguments.threads
        )
        return time.perf_counter() - begin, pace.in_model / pace.took

    def published() -> float:
        begin = time.perf_counter()
        for system in range(SYSTEMS):
            published_way(utterances, record, folder / f"published{system}.npy", options, device)
        return time.perf_counter() - begin

    ours_took, shares, theirs_took = [], [], []
    for _ in range(arguments.runs):
        took, share = ours()
        ours_took.append(took)
        shares.append(share)
        theirs_took.append(published())
    trials = 2 * count
    ratio = median(other / own for other, own in zip(theirs_took, ours_took, strict=True))
    mine, others = ((folder / name).stat().st_size for name in ("ours.npy", "published0.npy"))
    return [
        f"| frozen: {trials} trials for {SYSTEMS} systems | seconds | trials/s | in the model | GB |",
        "| --- | --- | --- | --- | --- |",
        f"| once, float16, fused attention | {median(ours_took):.1f} | {trials / median(ours_took):.1f} | "
        f"{median(shares):.0%} | {mine / 1e9:.3f} |",
        f"| the published way: fp32, attention not fused, once a system | {median(theirs_took):.1f} | "
        f"{trials / median(theirs_took):.1f} | | {SYSTEMS * others / 1e9:.3f} |",
        "",
        f"Ratio {ratio:.1f}. Loading the model is in both.",
    ]


def published_way(utterances: Utterances, record: dict, out: Path, options: SslOptions, device: torch.device) -> None:
    model = Wav2Vec2Model.from_pretrained(record["checkpoint"], attn_implementation="eager").to(device).eval()
    encoder = SslEncoder(encoder_description(record), model)
    size = max(1, int(options.batch_seconds / 4 / 2))

    def records():
        for names, audio, plan in utterances.batches(size):
            mixed = augment(audio, plan, utterances.bank).reshape(-1, SAMPLES)
            with torch.inference_mode():
                hidden = encoder(torch.from_numpy(mixed).to(device)).cpu().numpy()
            yield from zip(utterances.rows(names), hidden, strict=True)

    write_store(out, ["utterance", "variant", "split"], records())


def encoder_description(record: dict) -> dict:
    return load_encoder(record["checkpoint"], record, "last").description


def fine_tuning(record: dict, arguments: argparse.Namespace, device: torch.device, peak: float) -> list[str]:
    lines = [
        "| fine-tuned with AASIST | batch | utterances/s | TFLOP/s | of peak |",
        "| --- | --- | --- | --- | --- |",
    ]
    for recompute in (False, True):
        step, flops, batch = largest_step(record, arguments, device, recompute)
        times = [seconds(step, device) for _ in range(arguments.runs + 1)][1:]
        rate = batch / median(times)
        words = "activations computed again" if recompute else "activations kept"
        lines.append(f"| {words} | {batch} | {rate:.2f} | {rate * flops / 1e12:.2f} | {rate * flops / peak:.0%} |")
    return [
        *lines,
        "",
        f"Peak: {peak / 1e12:.2f} TFLOP/s, "
        + ("of the data sheet." if device.type == "cuda" else "of a large fp32 product on this machine."),
    ]


def largest_step(
    record: dict, arguments: argparse.Namespace, device: torch.device, recompute: bool
) -> tuple[Callable[[], object], float, int]:
    """A training step, the operations that an utterance needs in it, and its batch: the largest that fits a GPU."""
    encoder = load_encoder(record["checkpoint"], record, "last").use(device, arguments.precision)
    model = SourceTracer(encoder.n_features, 4, "aasist", {}, ssl=encoder).to(device).train()
    with FlopCounterMode(display=False) as counter:  # before anything is computed twice
        loss_of(model, torch.randn(1, SAMPLES, device=device).repeat(2, 1)).backward()
    flops = counter.get_total_flops() / 2
    if recompute:
        encoder.recompute()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)

    def step_of(batch: int) -> Callable[[], object]:
        waves = torch.randn(batch, SAMPLES, device=device)

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            loss_of(model, waves).backward()
            optimizer.step()

        return step

    if device.type == "cpu":
        return step_of(arguments.batch), flops, arguments.batch
    batch = 8
    while True:
        try:
            seconds(step_of(2 * batch), device)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return step_of(batch), flops, batch
        batch *= 2


def loss_of(model: SourceTracer, waves: Tensor) -> Tensor:
    _, logits = model(waves)
    return functional.cross_entropy(logits, torch.arange(len(waves), device=waves.device) % 4)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    begin = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def peak_of(device: torch.device) -> float:
    """FLOP/s that the device can do at most: of its data sheet, or what a large product reaches here."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name()
        known = next((peak for key, peak in PEAKS.items() if key in name), None)
        if known is None:
            sys.exit(f"{name}: no peak is known: add it to PEAKS")
        return known
    left, right = torch.randn(2048, 2048), torch.randn(2048, 2048)
    return 2 * 2048**3 / min(seconds(lambda: left @ right, device) for _ in range(5))


if __name__ == "__main__":
    main()
