"""What a checkpoint file may contain, looked at before PyTorch reads any of it."""

import pickletools
import zipfile
from pathlib import Path

# What torch.save writes for nested dicts and lists of tensors and plain values. PyTorch's weights-only
# reader allows more, such as byte arrays of any declared size.
ALLOWED = {"torch._utils _rebuild_tensor_v2", "collections OrderedDict"}
ALLOWED |= {f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Byte")}


def check_archive(path: Path) -> int:
    """Check that a file is an undamaged archive of tensors and plain values, in bounded memory.

    Returns:
        Size of all tensors' storages together, bytes; what the tensors declare must not differ from it.

    Raises:
        ValueError, OSError or another error of zipfile and pickletools: it is not.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("compressed, so that it may be of any size")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("declares more than the file holds")
        if archive.testzip() is not None:  # PyTorch does not look at the checksums.
            raise ValueError("a checksum differs")
        (pickled,) = (entry for entry in entries if entry.filename.endswith("/data.pkl"))
        for operation, argument, _ in pickletools.genops(archive.read(pickled)):
            if operation.name == "STACK_GLOBAL" or (operation.name in {"GLOBAL", "INST"} and argument not in ALLOWED):
                raise ValueError("holds more than tensors and plain values")
        return sum(entry.file_size for entry in entries if "/data/" in entry.filename)
