"""The package av, FFmpeg's libraries for Python: needed for clips only, so imported when one comes."""

from types import ModuleType

from utils.errors import UserError


def import_av(what: str) -> ModuleType:
    """The package av; UserError where it is missing, with `what` was to be read or written."""
    try:
        import av
    except ImportError as error:
        reason = "" if isinstance(error, ModuleNotFoundError) and error.name == "av" else f" ({error})"
        raise UserError(f"{what}: films need the package av{reason}: pip install av") from None
    return av
