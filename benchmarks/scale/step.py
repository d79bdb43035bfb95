"""A step as the workflow runs it: a process of its own, and what it took."""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Taken:
    """Wall time and processor time in seconds; the process's memory in MiB, `(time, memory)` through its life."""

    seconds: float
    cpu: float
    memory: list[tuple[float, float]]

    @property
    def peak(self) -> float:
        return max(memory for _, memory in self.memory)


def run(*arguments: object, cwd: Path) -> Taken:
    """Run Python with `arguments`; ends the program with what the step said if it fails."""
    began = time.monotonic()
    process = psutil.Popen(
        [sys.executable, *map(str, arguments)], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    memory, cpu = [(0.0, 0.0)], [0.0]

    def watch() -> None:
        while process.poll() is None:
            try:
                with process.oneshot():
                    memory.append((time.monotonic() - began, process.memory_info().rss / 2**20))
                    cpu[0] = sum(process.cpu_times()[:2])
            except psutil.Error:
                return
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = process.stderr.read()
    if process.wait():
        sys.exit(f"{' '.join(map(str, arguments))[:200]} failed: {said[-2000:]}")
    seconds = time.monotonic() - began
    watcher.join()
    return Taken(seconds, cpu[0], memory)
