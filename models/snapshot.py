"""Snapshots: the finished scales of a run on disk, enough to rebuild and use them."""

import os
from dataclasses import asdict, fields

import torch

from models.architecture import DOMAINS, Architecture, ScaleNetworks
from models.pyramid import Pyramid
from utils.runs.checkpoint import CheckpointError, check_tensors, load_checkpoint, load_weights, save_checkpoint
from utils.runs.run_folder import RunFolder
from utils.scales import Geometry, ImageGeometry

GEOMETRIES = {1: ImageGeometry, 2: Geometry}  # by the number of domains
SCALE_KEYS = {"scale": int, "geometry": dict, "architecture": dict, "networks": dict}


def sigma_keys(domains: int) -> list[str]:
    """The names noise amplitudes have in files."""
    return [f"sigma_{name}" for name in DOMAINS[:domains]]


def save_scale(
    run: RunFolder,
    scale: int,
    networks: ScaleNetworks,
    sigmas: tuple[float, ...],
    geometry: Geometry | ImageGeometry,
    architecture: Architecture,
) -> None:
    """Write the checkpoint of a finished scale: its networks and what is needed to rebuild them."""
    content = {
        "scale": scale,
        "geometry": asdict(geometry),
        "architecture": asdict(architecture),
        "networks": networks.state_dict(),
    }
    content |= dict(zip(sigma_keys(architecture.domains), sigmas, strict=True))
    save_checkpoint(content, run.scale(scale))


def load_scale(
    run: RunFolder,
    scale: int,
    geometry: Geometry | ImageGeometry,
    architecture: Architecture,
    device: torch.device,
) -> tuple[ScaleNetworks, tuple[float, ...]]:
    """The networks and noise amplitudes of a finished scale.

    Raises:
        CheckpointError: the file is damaged, or made for another geometry or architecture.
    """
    path, names = run.scale(scale), sigma_keys(architecture.domains)
    content = load_checkpoint(path, SCALE_KEYS | dict.fromkeys(names, float))
    # An older checkpoint lacks what has come since, whose defaults are what was.
    found = {"geometry": content["geometry"], "architecture": asdict(Architecture()) | content["architecture"]}
    for name, wanted in (("geometry", geometry), ("architecture", architecture)):
        if found[name] != asdict(wanted):
            raise CheckpointError(f"--load {path}: {name} {found[name]} is not this run's {asdict(wanted)}")
    if content["scale"] != scale:
        raise CheckpointError(f"--load {path}: holds scale {content['scale']}")
    with torch.device("meta"):  # Declared widths take no memory before the weights are seen to have them.
        declared = ScaleNetworks(architecture, scale, geometry.stop_scale)
    check_tensors(content["networks"], declared.state_dict(), path)
    networks = ScaleNetworks(architecture, scale, geometry.stop_scale)
    load_weights(networks, content["networks"], path)
    return networks.to(device), tuple(content[name] for name in names)


def load_pyramids(
    run: RunFolder, geometry: Geometry | ImageGeometry, architecture: Architecture, device: torch.device
) -> tuple[tuple[Pyramid, ...], ScaleNetworks | None]:
    """Every domain's finished scales, and the networks of the last of them.

    Raises:
        CheckpointError: see `load_scale`.
    """
    pyramids = tuple(Pyramid(shapes, geometry.factor) for shapes in geometry.domain_shapes)
    networks = None
    for scale in range(min(run.finished_scales(), geometry.stop_scale + 1)):
        networks, sigmas = load_scale(run, scale, geometry, architecture, device)
        for pyramid, generator, sigma in zip(pyramids, networks.generators, sigmas, strict=True):
            pyramid.append(generator, sigma)
    return pyramids, networks


def read_shape(run: RunFolder, domains: int) -> tuple[Geometry | ImageGeometry, Architecture]:
    """Geometry and architecture of a run, from its coarsest scale.

    Raises:
        CheckpointError: there is no finished scale, its numbers do not make a pyramid, or it is of another
            number of domains.
    """
    path = run.scale(0)
    if not os.path.isdir(run.path):
        raise CheckpointError(f"--load {run.path}: no such folder")
    if not path.is_file():
        raise CheckpointError(f"--load {run.path}: holds no finished scale ({path.name} is missing)")
    content = load_checkpoint(path, SCALE_KEYS)
    kinds = {f.name: type(f.default) for f in fields(Architecture)}
    for name, value in content["architecture"].items():
        if type(value) is not kinds.get(name) or (isinstance(value, int) and value < 0):
            raise CheckpointError(f"--load {path}: {name} is {value!r}")
    try:
        architecture = Architecture(**content["architecture"])
        if architecture.domains != domains:
            other = "refine.py" if domains == 2 else "train.py"
            raise CheckpointError(f"--load {run.path}: is of {other}")
        geometry = GEOMETRIES[domains](**content["geometry"])
        for shapes in geometry.domain_shapes:
            architecture.check_fits(shapes[0])
    except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise CheckpointError(f"--load {path}: {error}") from None
    return geometry, architecture
