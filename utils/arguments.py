"""Command lines: options declared as the fields of a dataclass, types that say what they want, one line per error."""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Any, NoReturn

from utils.errors import UserError


def pathname(text: str) -> Path:
    """An argparse type: the name of a file or a folder, `~` expanded."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no user of that name
        return Path(text)


def pathname_or_none(text: str) -> Path | None:
    """An argparse type: `pathname`, or nothing for the empty name."""
    return pathname(text) if text else None


def number(
    least: float = 0.0, below: float = math.inf, *, above: bool = False, kind: type = float
) -> Callable[[str], Any]:
    """An argparse type: a finite number from `least` (excluded if `above`) up to, not including, `below`."""
    wanted = f"above {least:g}" if above else f"{least:g} or more"
    wanted += f" and below {below:g}" if below < math.inf else ""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            whole = "whole " if kind is int else ""
            raise argparse.ArgumentTypeError(f"must be a {whole}number, not '{text}'") from None
        if not least <= value < below or (above and value == least):  # false for NaN and infinity, too
            raise argparse.ArgumentTypeError(f"must be {wanted}, not {text}")
        return value

    return parse


def integer(least: int) -> Callable[[str], int]:
    """An argparse type: a whole number, `least` or more."""
    return number(least, kind=int)


def seconds(text: str) -> float:
    """An argparse type: a time in seconds, or hours, minutes and seconds as 1:02:30.5."""
    *larger, last = text.split(":")
    whole = [integer(0)(part) for part in larger[-2:]]
    if len(larger) > 2:
        raise argparse.ArgumentTypeError(f"must be seconds or [h:]m:s, not {text}")
    return sum(60**power * each for power, each in enumerate([number()(last), *reversed(whole)]))


def option(kind: Callable[[str], Any], default: Any, help: str, **argparse: Any) -> Any:
    """A dataclass field that is an option of the command line; its name is the option's.

    Args:
        kind: an argparse type; bool for a switch.
        help: what it does; its default is added.
        argparse: metavar, choices, nargs; alias: another name for the command line.
    """
    return field(default=default, metadata={"type": kind, "help": help, **argparse})


class LineParser(argparse.ArgumentParser):
    """A command line with one line per error."""

    def __init__(self, description: str, **more: Any) -> None:
        super().__init__(description=description, allow_abbrev=False, **more)

    def error(self, message: str) -> NoReturn:
        raise UserError(message.removeprefix("argument ") + " (--help lists the options)")


class Parser(LineParser):
    """The command line of a dataclass made of `option` fields, defaults in the help.

    Args:
        settings: the dataclass; its docstring introduces the help.
        headings: of the help, in its order, each with the names of the options that may stand under it.
        example: a command line to begin with, for the end of the help; its first word is the script's name.
    """

    def __init__(self, settings: type, headings: Mapping[str, str], example: str) -> None:
        script = example.partition(" ")[0]
        more = {"prog": script, "argument_default": argparse.SUPPRESS, "epilog": f"example: python {example}"}
        super().__init__(settings.__doc__, **more)
        self.settings, options = settings, {f.name: f for f in fields(settings)}
        for heading, names in headings.items():
            group = self.add_argument_group(heading)
            for name in filter(options.get, names.split()):
                default, more = options[name].default, dict(options[name].metadata)
                flags = [f"--{name}", *filter(None, [more.pop("alias", None)])]
                if more["type"] is bool:
                    default, more = "off", {"help": more["help"], "action": "store_true"}
                more["help"] += "" if default in (None, ()) else f" (default: {default})".replace("%", "%%")
                group.add_argument(*flags, dest=name, **more)

    def explicit(self, arguments: Sequence[str] | None) -> dict[str, Any]:
        """Only the options that stand on the command line."""
        return vars(self.parse_args(arguments))
