"""The package av, FFmpeg's libraries for Python: needed for clips only, so imported when one comes."""

from types import ModuleType

from utils.commands import install
from utils.errors import UserError


def import_av(start: str) -> ModuleType:
    """The package av; UserError, its line beginning with `start`, where it cannot be imported."""
    try:
        import av
    except ImportError as error:
        reason = "" if isinstance(error, ModuleNotFoundError) and error.name == "av" else f" ({error})"
        raise UserError(f"{start}films need the package av{reason}: {install('av')}") from None
    return av
