"""A run: where its files are, the sizes and widths of its scales, and what is finished of them."""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from models.networks import DOMAINS, Architecture, ScaleNetworks
from models.pyramid import Pyramid
from utils.device import device_flags
from utils.errors import ROOT, UserError, command
from utils.files import fill, load_checkpoint, save_checkpoint
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
    def load(cls, path: Path, domains: int, device: torch.device) -> "Run":
        """A run with all its scales finished, of this many domains, as its coarsest scale describes it.

        Raises:
            UserError: a scale is missing, damaged, or of another kind of run.
        """
        folder = RunFolder(path)
        script = "train.py" if domains == 2 else "refine.py"
        folder.options(script)  # It is such a run.
        resume = command(ROOT / script, "--load", path, *device_flags(device))
        if not folder.scale(0).is_file():
            raise UserError(f"--load {path}: no scale is finished; resume with: {resume}")
        _, values = load_checkpoint(folder.scale(0))
        try:
            architecture = Architecture(**values["architecture"])
            geometry = (Geometry if domains == 2 else ImageGeometry)(**values["geometry"])
            for shapes in geometry.domain_shapes:
                architecture.check_fits(shapes[0])
        except (TypeError, ValueError) as error:
            raise UserError(f"--load {folder.scale(0)}: {error}") from None
        run = cls(folder, geometry, architecture, device)
        run.load_scales(folder)
        if not run.finished:
            raise UserError(
                f"--load {path}: only {run.scale} of {geometry.stop_scale + 1} scales are done; resume with: {resume}"
            )
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

    def save_scale(self, scale: int, networks: ScaleNetworks, sigmas: tuple[float, ...]) -> None:
        """Write the checkpoint of a finished scale: its networks and what is needed to rebuild them."""
        rebuild = {"geometry": asdict(self.geometry), "architecture": asdict(self.architecture)}
        values = {"scale": scale, **rebuild, **dict(zip(sigma_keys(len(sigmas)), sigmas, strict=True))}
        save_checkpoint(networks.state_dict(), values, self.folder.claim(self.folder.scale(scale).name))

    def load_scales(self, folder: RunFolder) -> None:
        """Take up every scale that is finished in a folder; UserError where one does not fit this run."""
        while not self.finished and folder.scale(self.scale).is_file():
            self.add_scale(*self.load_scale(self.scale, folder))

    def load_scale(self, scale: int, folder: RunFolder) -> tuple[ScaleNetworks, tuple[float, ...]]:
        """The networks and noise amplitudes of a scale that is finished in a folder."""
        path, names = folder.scale(scale), sigma_keys(self.architecture.domains)
        weights, values = load_checkpoint(path)
        if values["scale"] != scale:
            raise UserError(f"--load {path}: holds scale {values['scale']}")
        for name in ("geometry", "architecture"):
            if values[name] != (wanted := asdict(getattr(self, name))):
                different = ", ".join(key for key in wanted if values[name].get(key) != wanted[key])
                raise UserError(f"--load {path}: its {different} differs from this run's")
        networks = self.new_networks(scale)
        fill(networks, weights, path)
        return networks.to(self.device), tuple(values[name] for name in names)
