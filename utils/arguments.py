"""Command lines: types of options that say what they want, and a parser whose errors are one line."""

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from utils.errors import UserError


def integer(least: int) -> Callable[[str], int]:
    """An argparse type: a whole number, `least` or more."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, not '{text}'") from None
        if value > 10**18:
            raise argparse.ArgumentTypeError("must be at most 1000000000000000000")
        if value < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more, not {value}")
        return value

    return parse


def number(least: float = 0.0, below: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """An argparse type: a finite number from `least` (excluded if `above`) up to, not including, `below`."""
    bound = f" and below {below:g}" if below < math.inf else ""
    wanted = f"{'above' if above else 'at least'} {least:g}{bound}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a number, not '{text}'") from None
        if not least <= value < below or (above and value == least):  # false for NaN and infinity, too
            raise argparse.ArgumentTypeError(f"must be {wanted}, not {text}")
        return value

    return parse


def only(legal: int) -> Callable[[str], int]:
    """An argparse type for a published option of which the method knows one value."""

    def parse(text: str) -> int:
        if text.strip() != str(legal):
            raise argparse.ArgumentTypeError(f"must be {legal}, the only value the method knows, not {text}")
        return legal

    return parse


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Adds each default to the help, but for options whose text says what happens without them."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """One line per error, defaults in the help, and a record of what was given explicitly."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description, allow_abbrev=False, formatter_class=Formatter)

    def error(self, message: str) -> NoReturn:
        raise UserError(message.removeprefix("argument ") + " (--help lists the options)")

    def explicit(self, arguments: Sequence[str] | None) -> dict[str, Any]:
        """Only the options that stand on the command line."""
        missing = object()
        blank = argparse.Namespace(**{action.dest: missing for action in self._actions})
        found = vars(self.parse_args(arguments, blank))
        return {name: value for name, value in found.items() if value is not missing}

    def defaults(self) -> dict[str, Any]:
        """Every option at its default."""
        return {a.dest: a.default for a in self._actions if a.dest != "help"}
