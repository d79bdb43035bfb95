"""The commands of a stage of the workflow, by name."""

import argparse
from collections.abc import Callable
from typing import NamedTuple

Run = Callable[[argparse.Namespace], int | None]  # the exit status; none: success
Define = Callable[[argparse.ArgumentParser], Run]


class Command(NamedTuple):
    """What the command line knows of a command before its arguments are wanted."""

    summary: str
    define: Define  # adds the arguments to a parser, and returns what runs the command


class Commands(dict[str, Command]):
    """Commands, in the order in which they were added."""

    def add(self, name: str, summary: str) -> Callable[[Define], Define]:
        """Add the command that the decorated function defines."""

        def register(define: Define) -> Define:
            self[name] = Command(summary, define)
            return define

        return register
