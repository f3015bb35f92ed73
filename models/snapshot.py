"""Snapshots: the finished scales of a run on disk, enough to rebuild and use them."""

import os
from dataclasses import asdict

import torch

from models.architecture import Architecture, ScaleNetworks
from models.pyramid import Pyramid
from utils.checkpoint import CheckpointError, check_tensors, load_checkpoint, load_weights, save_checkpoint
from utils.run_folder import RunFolder
from utils.scales import Geometry

SCALE_KEYS = {"scale": int, "sigma_a": float, "sigma_b": float}
SCALE_KEYS |= {"geometry": dict, "architecture": dict, "networks": dict}


def save_scale(
    run: RunFolder,
    scale: int,
    networks: ScaleNetworks,
    sigmas: tuple[float, float],
    geometry: Geometry,
    architecture: Architecture,
) -> None:
    """Write the checkpoint of a finished scale: four networks and what is needed to rebuild them."""
    content = {
        "scale": scale,
        "geometry": asdict(geometry),
        "architecture": asdict(architecture),
        "sigma_a": sigmas[0],
        "sigma_b": sigmas[1],
        "networks": networks.state_dict(),
    }
    save_checkpoint(content, run.scale(scale))


def load_pyramids(
    run: RunFolder, geometry: Geometry, architecture: Architecture, device: torch.device
) -> tuple[tuple[Pyramid, Pyramid], ScaleNetworks | None]:
    """Both domains' finished scales, and the networks of the last of them.

    Raises:
        CheckpointError: a file is damaged, or made for another geometry or architecture.
    """
    pyramids = (Pyramid(geometry.shapes, geometry.factor), Pyramid(geometry.shapes, geometry.factor))
    networks = None
    for scale in range(min(run.finished_scales(), geometry.stop_scale + 1)):
        path = run.scale(scale)
        content = load_checkpoint(path, SCALE_KEYS)
        for name, wanted in (("geometry", geometry), ("architecture", architecture)):
            if content[name] != asdict(wanted):
                raise CheckpointError(f"--load {path}: {name} {content[name]} is not this run's {asdict(wanted)}")
        if content["scale"] != scale:
            raise CheckpointError(f"--load {path}: holds scale {content['scale']}")
        with torch.device("meta"):  # Declared widths take no memory before the weights are seen to have them.
            declared = ScaleNetworks(architecture, scale, geometry.stop_scale)
        check_tensors(content["networks"], declared.state_dict(), path)
        networks = ScaleNetworks(architecture, scale, geometry.stop_scale)
        load_weights(networks, content["networks"], path)
        networks.to(device)
        for pyramid, generator, sigma in zip(
            pyramids, networks.generators, (content["sigma_a"], content["sigma_b"]), strict=True
        ):
            pyramid.append(generator, sigma)
    return pyramids, networks


def read_shape(run: RunFolder) -> tuple[Geometry, Architecture]:
    """Geometry and architecture of a run, from its coarsest scale.

    Raises:
        CheckpointError: there is no finished scale, or its numbers do not make a pyramid.
    """
    path = run.scale(0)
    if not os.path.isdir(run.path):
        raise CheckpointError(f"--load {run.path}: no such folder")
    if not path.is_file():
        raise CheckpointError(f"--load {run.path}: holds no finished scale ({path.name} is missing)")
    content = load_checkpoint(path, SCALE_KEYS)
    for name, value in content["architecture"].items():
        if not isinstance(value, int) or value < 0:
            raise CheckpointError(f"--load {path}: {name} is {value!r}")
    try:
        geometry, architecture = Geometry(**content["geometry"]), Architecture(**content["architecture"])
        architecture.check_fits(geometry)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"--load {path}: {error}") from None
    return geometry, architecture
