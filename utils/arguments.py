"""Command lines: options declared as the fields of a dataclass, types that say what they want, one line per error."""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import field, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from utils.errors import UserError


def pathname(text: str) -> Path:
    """An argparse type: the name of a file or a folder, `~` expanded."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text).expanduser()


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


def option(
    kind: Callable[[str], Any] | type,
    default: Any,
    help: str,
    group: str,
    *,
    flag: str | None = None,
    fixed: bool = False,
    per_call: bool = False,
    **argparse: Any,
) -> Any:
    """A dataclass field that is an option of the command line; its name is the option's.

    Args:
        kind: an argparse type; bool for a switch.
        help: what it does; its default is added.
        group: the heading it stands under.
        flag: another name for the command line.
        fixed: a run that is resumed has fixed it for good.
        per_call: it belongs to a call, not to a run that is resumed.
        argparse: metavar, choices, nargs.
    """
    told = dict(kind=kind, help=help, group=group, flag=flag, fixed=fixed, per_call=per_call, argparse=argparse)
    return field(default=default, metadata={"option": SimpleNamespace(**told)})


def options_of(settings: type) -> dict[str, SimpleNamespace]:
    """Every option of a dataclass made of `option` fields, by its name."""
    return {f.name: f.metadata["option"] for f in fields(settings)}


def defaults_of(settings: type) -> dict[str, Any]:
    """Every option at its default."""
    return {f.name: f.default for f in fields(settings)}


class LineParser(argparse.ArgumentParser):
    """A command line with one line per error."""

    def __init__(self, description: str, **more: Any) -> None:
        super().__init__(description=description, allow_abbrev=False, **more)

    def error(self, message: str) -> NoReturn:
        raise UserError(message.removeprefix("argument ") + " (--help lists the options)")


class Parser(LineParser):
    """The command line of a dataclass made of `option` fields, defaults in the help.

    Args:
        script: the name of its file.
        headings: all there may be, in the order of the help.
        example: options to begin with, for the end of the help.
    """

    def __init__(self, script: str, settings: type, headings: Sequence[str], description: str, example: str) -> None:
        example = f"example: python {script} {example}"
        super().__init__(description, prog=script, argument_default=argparse.SUPPRESS, epilog=example)
        options, defaults = options_of(settings), defaults_of(settings)
        groups = {heading: self.add_argument_group(heading) for heading in headings}
        for name, each in options.items():
            default, more = defaults[name], {"type": each.kind, **each.argparse}
            if each.kind is bool:
                default, more = "off", {"action": "store_true"}
            told = "" if default in (None, ()) else f" (default: {default})".replace("%", "%%")
            flags = [f"--{name}", *([each.flag] if each.flag else [])]
            groups[each.group].add_argument(*flags, dest=name, help=each.help + told, **more)

    def explicit(self, arguments: Sequence[str] | None) -> dict[str, Any]:
        """Only the options that stand on the command line."""
        return vars(self.parse_args(arguments))
