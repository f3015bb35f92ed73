"""Many wrong things at once: options, checkpoint bytes, picture bytes. Every outcome is one of the promised ones."""

import collections
import io
import json
import os
import pickle
import random
import shutil
import struct

import hypothesis.strategies as st
import numpy as np
import pytest
import safetensors.torch
import torch
from conftest import TINY, make_picture
from folders import rewrite
from hypothesis import HealthCheck, given, settings
from PIL import Image

import train
from models.snapshot import SCALE_KEYS
from utils.errors import RunError, UserError
from utils.image import open_image
from utils.checkpoint import METADATA, CheckpointError, load_checkpoint

# Options: ranges as config.py has them and a little beyond; sizes stay small so that a run is short.


def floats(*special: float) -> st.SearchStrategy:
    """Mostly ordinary numbers, now and then an extreme one."""
    return st.one_of(
        st.sampled_from([-1.0, 0.0, 1.0, float("nan"), float("inf"), *special]),
        *[st.floats(0.001, 0.9)] * 4,
    )


OPTIONS = {
    "img_size": st.integers(18, 30) | st.integers(18, 30) | st.integers(-1, 40) | st.sampled_from([10**6, 10**30]),
    "min_size": st.integers(12, 15) | st.integers(12, 15) | st.integers(-1, 30) | st.just(10**30),
    "max_size": st.integers(20, 60) | st.integers(20, 60) | st.integers(-1, 60) | st.just(10**30),
    "scale_factor": floats(0.5, 0.75, 0.999999999, 1e-300) | st.floats(0.3, 0.8),
    "nfc": st.integers(1, 9) | st.integers(1, 9) | st.integers(-1, 9) | st.just(10**30),
    "min_nfc": st.integers(1, 9) | st.integers(1, 9) | st.integers(-1, 9) | st.just(10**9),
    "max_nfc": st.integers(1, 9) | st.integers(1, 9) | st.integers(-1, 9) | st.just(10**9),
    "num_layer": st.integers(3, 5) | st.integers(3, 5) | st.integers(0, 7) | st.just(10**9),
    "ker_size": st.integers(2, 3) | st.integers(2, 3) | st.integers(-1, 6) | st.just(10**9),
    "padd_size": st.integers(0, 1) | st.integers(0, 1) | st.integers(-1, 4) | st.just(10**9),
    "switch_res": st.integers(0, 4) | st.integers(0, 4) | st.integers(-1, 9) | st.just(10**9),
    "niter": st.integers(1, 2) | st.integers(1, 2) | st.integers(-1, 2),
    "print_interval": st.integers(1, 3) | st.integers(1, 3) | st.integers(-1, 3) | st.just(10**30),
    "save_every": floats(1e308),
    "alpha": floats(1e30, 1e300),
    "beta": floats(1e30, 1e300),
    "lambda_g": floats(1e30),
    "lambda_grad": floats(1e30),
    "lr_g": floats(1e-300, 1e30, 1e300),
    "lr_d": floats(1e-300, 1e30, 1e300),
    "lr_decay": floats(0.999999),
    "beta1": floats(0.999999),
    "noise_amp_a": floats(1e30, 1e300),
    "noise_amp_b": floats(1e30, 1e300),
    "manualSeed": st.integers(-1, 10**20),
}


def outcome(arguments: list, capsys) -> str:
    """How a training ended, without its numbers; any other exception goes through."""
    try:
        assert train.main([str(argument) for argument in arguments]) == 0
        return "ran"
    except UserError as error:
        assert len(str(error).splitlines()) == 1
        assert "--" in str(error)
        return "refused: " + str(error).split()[0].rstrip(":,")
    except RunError as error:
        assert len(str(error).splitlines()) == 1
        assert "became" in str(error)
        return "stopped: a loss became NaN or infinite"
    finally:
        capsys.readouterr()


@pytest.mark.parametrize("examples", [25, pytest.param(400, marks=pytest.mark.slow)])
def test_options(monkeypatch, capsys, pair, tmp_path, examples):
    monkeypatch.setattr(train, "save_sheet", lambda *_: None)
    monkeypatch.setattr(train, "save_loss_curves", lambda *_: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    counts = collections.Counter()

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.dictionaries(st.sampled_from(sorted(OPTIONS)), st.none(), max_size=5), st.data())
    def run(names, data):
        words = [f"--{name}={data.draw(OPTIONS[name])}" for name in names]
        out = ["--input_a", pair[0], "--input_b", pair[1], "--out", tmp_path / "run", "--overwrite"]
        small = [*TINY, "--scale_factor", 0.55, "--niter", 2]
        counts[outcome([*out, *small, *words], capsys)] += 1

    run()
    assert counts["ran"] >= examples / 8
    assert len(counts) > 5


# Checkpoints.


def mutations(content: bytes, count: int, seed: int):
    """A third of them cut short, the rest with a bit flipped, a third of these in the header."""
    rng = random.Random(seed)
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for index in range(count):
        position = rng.randrange(header if index % 3 == 1 else len(content))
        if index % 3 == 0:
            yield content[:position]
            continue
        flipped = bytearray(content)
        flipped[position] ^= 1 << rng.randrange(8)
        yield bytes(flipped)


@pytest.mark.parametrize("count", [600, pytest.param(20000, marks=pytest.mark.slow)])
def test_checkpoint_bytes(trained, tmp_path, count):
    path = tmp_path / "scale_00.safetensors"
    for content in mutations((trained / path.name).read_bytes(), count, seed=3):
        path.write_bytes(content)
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(path, SCALE_KEYS)
        assert str(caught.value).startswith(f"--load {path}: ") and "\n" not in str(caught.value)


def set_header(content: bytes, text: str, length: int | None = None) -> bytes:
    """A safetensors file with another header, said to be as long as it is, or `length` bytes."""
    (old,) = struct.unpack("<Q", content[:8])
    header = text.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + content[8 + old :]


def header_of(content: bytes) -> dict:
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length])


def with_first(content: bytes, **changes: object) -> bytes:
    """The header says other things of the first tensor."""
    header = header_of(content)
    name = next(name for name in header if name != "__metadata__")
    return set_header(content, json.dumps(header | {name: header[name] | changes}))


# What a header may say without being true.
HEADERS = {
    "a header of 2**63 bytes": lambda content: set_header(content, "{}", 2**63),
    "a header of 10**8 bytes": lambda content: set_header(content, "{}", 10**8),
    "nested without end": lambda content: set_header(content, '{"x":' * 10**5),
    "a tensor of 10**18 values": lambda content: with_first(
        content, shape=[10**9, 10**9], data_offsets=[0, 4 * 10**18]
    ),
    "a shape that overflows": lambda content: with_first(content, shape=[2**63, 2**63]),
    "a negative shape": lambda content: with_first(content, shape=[-1]),
    "an unknown type": lambda content: with_first(content, dtype="F33"),
    "tensors that overlap": lambda content: with_first(content, data_offsets=[4, 8]),
    "no tensors": lambda content: set_header(content, "{}"),
    "values nested without end": lambda content: set_header(
        content, json.dumps(header_of(content) | {"__metadata__": {METADATA: "[" * 10**5}})
    ),
    "values that are a list": lambda content: set_header(
        content, json.dumps(header_of(content) | {"__metadata__": {METADATA: '{"sha256": "", "values": []}'}})
    ),
    "of another program": lambda content: safetensors.torch.save({"weight": torch.zeros(2)}, {"format": "pt"}),
    "of another program, without metadata": lambda content: safetensors.torch.save({"weight": torch.zeros(2)}),
    "a pickle": lambda content: pickle.dumps({"networks": {}}),
    "text": lambda content: b"not a checkpoint\n",
    "nothing": lambda content: b"",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_file_that_is_no_checkpoint(trained, tmp_path, kind):
    path = tmp_path / "scale_00.safetensors"
    path.write_bytes(HEADERS[kind]((trained / path.name).read_bytes()))
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, {})
    assert str(caught.value).startswith(f"--load {path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values["architecture"].update(nfc=10**9),
        lambda values: values["architecture"].update(nfc=4096, min_nfc=4096, max_nfc=4096),
        lambda values: values["architecture"].update(num_layer=10**9, ker_size=1),
        lambda values: values["architecture"].update(num_layer=0),
        lambda values: values["geometry"].update(img_size=10**400),
        lambda values: values["geometry"].update(scale_factor=1 - 1e-12),
    ],
)
def test_huge_networks_are_refused_before_they_are_made(monkeypatch, cli, pair, trained, tmp_path, change):
    run = shutil.copytree(trained, tmp_path / "run")
    rewrite(run / "scale_00.safetensors", lambda _, values: change(values))
    monkeypatch.setattr(torch.nn.Module, "to", lambda *_: pytest.fail("networks were made"))
    words = ["--input_a", pair[0], "--input_b", pair[1], "--out", tmp_path / "out", "--gpu_id", -1]
    result = cli("eval.py", "--load", run, *words)
    assert result.code == 2
    assert "scale_00.safetensors" in result.err


# Pictures.

FORMATS = ["PNG", "JPEG", "GIF", "WebP", "BMP", "TIFF"]


@pytest.mark.parametrize("count", [80, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", FORMATS)
def test_picture_bytes(capfd, tmp_path, kind, count):
    picture = Image.open(make_picture(tmp_path / "a.png", 4))
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(buffer, kind, **({"exif": exif} if kind not in {"GIF", "BMP"} else {}))
    whole, rng, counts = buffer.getvalue(), np.random.default_rng(6), collections.Counter()
    for index in range(count):
        content = bytearray(whole)
        # The header decides most: half of the changes are in it.
        span = min(len(content), 100) if index % 2 else len(content)
        for position in rng.integers(0, span, 1 + index % 5):
            content[position] = rng.integers(256)
        if index % 10 == 0:
            del content[rng.integers(len(content)) :]
        path = tmp_path / "changed"
        path.write_bytes(content)
        try:
            opened = open_image(path, "--input_a")
        except UserError as error:
            assert str(error).startswith(f"--input_a {path}: ")
            counts["refused"] += 1
        else:
            assert opened.mode == "RGB" and min(opened.size) > 0
            counts["a picture"] += 1
    assert capfd.readouterr().err == ""
    assert counts["refused"] and counts["a picture"]
