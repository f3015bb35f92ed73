"""A run's finished scales on disk: written one by one, enough to rebuild the pyramids and use them."""

import os
from dataclasses import asdict, dataclass, fields

import torch

from models.architecture import DOMAINS, Architecture, ScaleNetworks
from models.pyramid import Pyramid
from utils.commands import command
from utils.device import device_flags
from utils.checkpoint import CheckpointError, check_tensors, load_checkpoint, load_weights, save_checkpoint
from utils.run_folder import RunFolder
from utils.geometry import Geometry, ImageGeometry

GEOMETRIES = {1: ImageGeometry, 2: Geometry}  # by the number of domains
SCALE_KEYS = {"scale": int, "geometry": dict, "architecture": dict}


def sigma_keys(domains: int) -> list[str]:
    """The names noise amplitudes have in files."""
    return [f"sigma_{name}" for name in DOMAINS[:domains]]


@dataclass(frozen=True)
class Run:
    """What a run is: where its files are, the sizes and widths of its scales, and where it computes."""

    folder: RunFolder
    geometry: Geometry | ImageGeometry
    architecture: Architecture
    device: torch.device

    @classmethod
    def open(cls, folder: RunFolder, domains: int, device: torch.device) -> "Run":
        """A run of this many domains as its coarsest scale says it is.

        Raises:
            CheckpointError: there is no finished scale, its numbers do not make a pyramid, or it is of another
                number of domains.
        """
        path = folder.scale(0)
        if not os.path.isdir(folder.path):
            raise CheckpointError(f"--load {folder.path}: no such folder")
        folder.check_format()
        if not path.is_file():
            script = "train.py" if domains == 2 else "refine.py"
            hint = f"; to finish it: {command(script, '--load', folder.path, *device_flags(device))}"
            begun = hint if folder.state.is_file() else ""
            raise CheckpointError(f"--load {folder.path}: holds no finished scale ({path.name} is missing){begun}")
        _, values = load_checkpoint(path, SCALE_KEYS)
        kinds = {f.name: type(f.default) for f in fields(Architecture)}
        for name, value in values["architecture"].items():
            if type(value) is not kinds.get(name) or (isinstance(value, int) and value < 0):
                raise CheckpointError(f"--load {path}: {name} is {value!r}")
        try:
            architecture = Architecture(**values["architecture"])
            if architecture.domains != domains:
                other = "refine.py" if domains == 2 else "train.py"
                raise CheckpointError(f"--load {folder.path}: is of {other}")
            geometry = GEOMETRIES[domains](**values["geometry"])
            for shapes in geometry.domain_shapes:
                architecture.check_fits(shapes[0])
        except (TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
            raise CheckpointError(f"--load {path}: {error}") from None
        return cls(folder, geometry, architecture, device)

    def networks(self, scale: int) -> ScaleNetworks:
        """The unfilled networks of a scale, on PyTorch's current device."""
        return ScaleNetworks(self.architecture, scale, self.geometry.stop_scale)

    def save_scale(self, scale: int, networks: ScaleNetworks, sigmas: tuple[float, ...]) -> None:
        """Write the checkpoint of a finished scale: its networks and what is needed to rebuild them."""
        rebuild = {"geometry": asdict(self.geometry), "architecture": asdict(self.architecture)}
        values = {"scale": scale, **rebuild, **dict(zip(sigma_keys(len(sigmas)), sigmas, strict=True))}
        save_checkpoint(networks.state_dict(), values, self.folder.scale(scale))

    def load_scale(self, scale: int) -> tuple[ScaleNetworks, tuple[float, ...]]:
        """The networks and noise amplitudes of a finished scale.

        Raises:
            CheckpointError: the file is damaged, or made for another geometry or architecture.
        """
        path, names = self.folder.scale(scale), sigma_keys(self.architecture.domains)
        weights, values = load_checkpoint(path, SCALE_KEYS | dict.fromkeys(names, float))
        for name, wanted in (("geometry", asdict(self.geometry)), ("architecture", asdict(self.architecture))):
            if values[name] != wanted:
                raise CheckpointError(f"--load {path}: {name} {values[name]} is not this run's {wanted}")
        if values["scale"] != scale:
            raise CheckpointError(f"--load {path}: holds scale {values['scale']}")
        with torch.device("meta"):  # Declared widths take no memory before the weights are seen to have them.
            check_tensors(weights, self.networks(scale).state_dict(), path)
        networks = self.networks(scale)
        load_weights(networks, weights, path)
        return networks.to(self.device), tuple(values[name] for name in names)

    def empty_pyramids(self) -> tuple[Pyramid, ...]:
        """Every domain's pyramid without a finished scale."""
        return tuple(Pyramid(shapes, self.geometry.factor) for shapes in self.geometry.domain_shapes)

    def load_pyramids(self) -> tuple[tuple[Pyramid, ...], ScaleNetworks | None]:
        """Every domain's finished scales, and the networks of the last of them; CheckpointError as `load_scale`."""
        pyramids, networks = self.empty_pyramids(), None
        for scale in range(min(self.folder.finished_scales(), self.geometry.stop_scale + 1)):
            networks, sigmas = self.load_scale(scale)
            for pyramid, generator, sigma in zip(pyramids, networks.generators, sigmas, strict=True):
                pyramid.append(generator, sigma)
        return pyramids, networks
