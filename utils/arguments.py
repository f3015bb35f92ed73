"""Command lines: options declared as the fields of a dataclass, types that say what they want, one line per error."""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
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


def integer(least: int) -> Callable[[str], int]:
    """An argparse type: a whole number, `least` or more."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, not '{text}'") from None
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


@dataclass(frozen=True)
class Option:
    """All there is to say of an option but its name and its default.

    Args:
        kind: an argparse type; bool for a switch.
        help: what it does; its default is added.
        group: the heading it stands under.
        flag: another name for the command line.
        metavar: what the help calls its value.
        choices: the values it may have.
        nargs: "+" where it takes one value or several.
        fixed: a run that is gone on with has fixed it for good.
        per_call: it belongs to a call, not to a run that is gone on with.
    """

    kind: Callable[[str], Any] | type
    help: str
    group: str
    flag: str | None = None
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    nargs: str | None = None
    fixed: bool = False
    per_call: bool = False


def option(kind: Callable[[str], Any] | type, default: Any, help: str, group: str, **more: Any) -> Any:
    """A dataclass field that is an option of the command line; its name is the option's."""
    return field(default=default, metadata={"option": Option(kind, help, group, **more)})


def options_of(settings: type) -> dict[str, Option]:
    """Every option of a dataclass made of `option` fields, by its name."""
    return {f.name: f.metadata["option"] for f in fields(settings)}


def defaults_of(settings: type) -> dict[str, Any]:
    """Every option at its default."""
    return {f.name: f.default for f in fields(settings)}


def as_words(values: dict[str, Any]) -> str:
    """Options as they would stand on a command line."""
    return " ".join(f"--{name} {value}" for name, value in values.items())


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
        super().__init__(
            description, prog=script, argument_default=argparse.SUPPRESS, epilog=f"example: python {script} {example}"
        )
        options, defaults = options_of(settings), defaults_of(settings)
        used = {each.group for each in options.values()}
        groups = {heading: self.add_argument_group(heading) for heading in headings if heading in used}
        for name, each in options.items():
            flags = [f"--{name}"] + ([each.flag] if each.flag else [])
            if each.kind is bool:
                groups[each.group].add_argument(
                    *flags, dest=name, action="store_true", help=f"{each.help} (default: off)"
                )
                continue
            default = "" if defaults[name] in (None, ()) else f" (default: {defaults[name]})".replace("%", "%%")
            groups[each.group].add_argument(
                *flags,
                dest=name,
                type=each.kind,
                choices=each.choices,
                metavar=each.metavar,
                nargs=each.nargs,
                help=each.help + default,
            )

    def explicit(self, arguments: Sequence[str] | None) -> dict[str, Any]:
        """Only the options that stand on the command line."""
        return vars(self.parse_args(arguments))
