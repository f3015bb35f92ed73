"""A run: where its files are, the sizes and widths of its scales, and what is finished of them."""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from models.networks import Architecture, ScaleNetworks
from models.pyramid import Pyramid
from utils.errors import UserError
from utils.files import load_checkpoint, save_checkpoint
from utils.geometry import Geometry, ImageGeometry
from utils.run_folder import RunFolder


@dataclass
class Run:
    """What a run is, and how far it has come.

    Attributes:
        pyramids: every domain's finished scales, coarsest first; they grow.
        networks: of the last finished scale, for the next to start from; None before the first.
    """

    folder: RunFolder
    geometry: Geometry | ImageGeometry
    architecture: Architecture
    device: torch.device

    def __post_init__(self) -> None:
        self.pyramids = tuple(Pyramid(shapes, self.geometry.factor) for shapes in self.geometry.domain_shapes)
        self.networks: ScaleNetworks | None = None

    @property
    def scale(self) -> int:
        """The scale to train next; one more than the finest if all are finished."""
        return len(self.pyramids[0].generators)

    @property
    def finished(self) -> bool:
        return self.scale > self.geometry.stop_scale

    def new_networks(self, scale: int) -> ScaleNetworks:
        """The unfilled networks of a scale, on PyTorch's current default device."""
        return ScaleNetworks(self.architecture, scale, self.geometry.stop_scale)

    def add_scale(self, networks: ScaleNetworks, sigmas: tuple[float, ...]) -> None:
        """Take up the next scale; its generators are frozen."""
        for pyramid, generator, sigma in zip(self.pyramids, networks.generators, sigmas, strict=True):
            pyramid.append(generator, sigma)
        self.networks = networks

    def _numbers(self, scale: int) -> dict[str, Any]:
        """What tells a scale of this run from any other, enough to rebuild its networks."""
        return {"scale": scale, "geometry": asdict(self.geometry), "architecture": asdict(self.architecture)}

    def save_scale(self, networks: ScaleNetworks, sigmas: tuple[float, ...]) -> None:
        """Take up the next scale, and write its checkpoint: its networks and what rebuilds them."""
        path = self.folder.claim(self.folder.scale(self.scale).name)
        save_checkpoint(networks.state_dict(), self._numbers(self.scale) | {"sigmas": sigmas}, path)
        self.add_scale(networks, sigmas)

    def load_scales(self, folder: RunFolder) -> None:
        """Take up every scale that is finished in a folder; UserError where one does not fit this run."""
        while not self.finished and (path := folder.scale(self.scale)).is_file():
            weights, values = load_checkpoint(path)
            if not self._numbers(self.scale).items() <= values.items():
                raise UserError(f"--load {path}: is not scale {self.scale} of this run")
            networks = self.new_networks(self.scale)
            networks.load_state_dict(weights)
            self.add_scale(networks.to(self.device), values["sigmas"])
