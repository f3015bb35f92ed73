"""A run: where its files are, the sizes and widths of its scales, and what is finished of them."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from models.networks import DOMAINS, Architecture, ScaleNetworks
from models.pyramid import Pyramid
from utils.device import device_flags
from utils.errors import ROOT, UserError, command
from utils.files import load_checkpoint, save_checkpoint
from utils.geometry import Geometry, ImageGeometry
from utils.run_folder import RunFolder


def sigma_keys(domains: int) -> list[str]:
    """The names noise amplitudes have in files."""
    return [f"sigma_{name}" for name in DOMAINS[:domains]]


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

    @classmethod
    def load(cls, path: Path, device: torch.device) -> "Run":
        """A pair's run with all its scales finished, as its coarsest scale describes it.

        Raises:
            UserError: a scale is missing or damaged, or it is not a pair's run.
        """
        folder = RunFolder(path)
        folder.options("train.py")
        resume = command(ROOT / "train.py", "--load", path, *device_flags(device))
        if not folder.scale(0).is_file():
            raise UserError(f"--load {path}: no scale is finished; resume with: {resume}")
        _, values = load_checkpoint(folder.scale(0))
        run = cls(folder, Geometry(**values["geometry"]), Architecture(**values["architecture"]), device)
        run.load_scales(folder)
        if not run.finished:
            scales = run.geometry.stop_scale + 1
            raise UserError(f"--load {path}: only {run.scale} of {scales} scales are done; resume with: {resume}")
        return run

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

    def save_scale(self, scale: int, networks: ScaleNetworks, sigmas: tuple[float, ...]) -> None:
        """Write the checkpoint of a finished scale: its networks and what is needed to rebuild them."""
        values = self._numbers(scale) | dict(zip(sigma_keys(len(sigmas)), sigmas, strict=True))
        save_checkpoint(networks.state_dict(), values, self.folder.claim(self.folder.scale(scale).name))

    def load_scales(self, folder: RunFolder) -> None:
        """Take up every scale that is finished in a folder; UserError where one does not fit this run."""
        while not self.finished and folder.scale(self.scale).is_file():
            self.add_scale(*self.load_scale(self.scale, folder))

    def load_scale(self, scale: int, folder: RunFolder) -> tuple[ScaleNetworks, tuple[float, ...]]:
        """The networks and noise amplitudes of a scale that is finished in a folder."""
        path, names = folder.scale(scale), sigma_keys(self.architecture.domains)
        weights, values = load_checkpoint(path)
        if not self._numbers(scale).items() <= values.items():
            raise UserError(f"--load {path}: is not scale {scale} of this run")
        networks = self.new_networks(scale)
        networks.load_state_dict(weights)
        return networks.to(self.device), tuple(values[name] for name in names)
