"""Work spread over processes, with a progress bar."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from tqdm import tqdm

from srctrace.errors import UserError


def run_jobs(function: Callable, jobs: Sequence, processes: int, title: str, unit: str) -> Iterator:
    """Results of `function` for each job, in order.

    Even a single process is a new one: espeak's state is global, and the caller may have threads, which forking harms.

    Raises:
        UserError: `processes` is below 1.
    """
    if processes < 1:
        raise UserError(f"processes: {processes}: at least 1 is needed")
    with (
        ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool,
        tqdm(pool.map(function, jobs), total=len(jobs), desc=title, unit=unit, mininterval=1) as results,
    ):
        yield from results
