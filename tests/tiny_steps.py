"""Steps of tiny networks on any device, as `train` takes them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from models.networks import Architecture, ScaleNetworks, initialise
from models.run import Run
from training.frames import RealSource, still
from training.loop import Images, Losses
from training.one_image import OneImageRecipe
from training.pair import PairRecipe
from training.state import OptimiserSettings, ScaleState
from training.step import DomainInputs, LossWeights
from utils.geometry import Geometry, ImageGeometry
from utils.rng import stream
from utils.run_folder import RunFolder

GEOMETRY = Geometry(img_size=14, min_size=11)
ONE_IMAGE = ImageGeometry(height=14, width=15, min_size=11)
# The fewest layers that have a head, a body and a tail.
PAIR = Architecture(nfc=2, min_nfc=2, num_layer=3)
SINGLE = replace(PAIR, switch_res=0, domains=1)

# (height, width) of A and of B.
SQUARE = (14, 14), (14, 14)
WIDE_AND_TALL = (13, 18), (17, 12)
SMALL = Architecture(nfc=4, min_nfc=4)

# Of a pair's recipe, what makes a step another one.
CHANGES = [
    {"weights": LossWeights(lambda_self=1.0)},
    {"weights": LossWeights(lambda_layout=1.0), "real_start": 0.5},
    {"fixed_rec": True},
    {"recompute": True},
]

AnyGeometry = Geometry | ImageGeometry
Watch = Callable[[], AbstractContextManager]
Taken = list[tuple[Losses, Images]]


def random(*shape: int, seed: int = 0) -> Tensor:
    """The same values in [-1, 1] every time."""
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 1


def inputs_for(weights: LossWeights, shapes=SQUARE, seed: int = 0, dtype=torch.float32) -> tuple[DomainInputs, ...]:
    """The inputs of a step of these weights for images of these shapes."""
    mixes = torch.tensor([0.3, 0.6, 0.2]), torch.tensor([0.4, 0.8, 0.7])
    domains = []
    for domain, (own, other) in enumerate((shapes, shapes[::-1])):
        pictures = [random(1, 3, *own, seed=seed + 3 * domain + i).to(dtype) for i in range(3)]
        noise = 0.2 * random(1, 3, *other, seed=seed + 30 + domain).to(dtype)
        third = (mixes[domain].to(dtype), noise) if weights.lambda_self else (mixes[domain][:2].to(dtype),)
        domains.append(DomainInputs(*pictures, *third))
    return tuple(domains)


def real_pictures(shapes=SQUARE, dtype=torch.float32) -> tuple[Tensor, Tensor]:
    """The real images of a step, of these shapes."""
    return random(1, 3, *shapes[0], seed=8).to(dtype), random(1, 3, *shapes[1], seed=9).to(dtype)


def networks(scale: int = 0, stop_scale: int = 4, architecture: Architecture = SMALL) -> ScaleNetworks:
    """A scale's networks, always the same."""
    nets = ScaleNetworks(architecture, scale, stop_scale)
    initialise(nets, stream(scale, "test"))
    return nets


def run_of(geometry: AnyGeometry, architecture: Architecture, scales: int, device: torch.device) -> Run:
    """A run with so many finished scales, that is nowhere on the disk."""
    run = Run(RunFolder(Path("nowhere")), geometry, architecture, device)
    for scale in range(scales):
        nets = networks(scale, geometry.stop_scale, architecture).to(device)
        run.add_scale(nets, (0.1,) * len(run.pyramids))
    return run


def reals_of(geometry: AnyGeometry, device: torch.device) -> tuple[list[Tensor], ...]:
    """Every domain's real image at every scale, the same on every device."""
    generator = stream(1, "test")
    return tuple(
        [(2 * torch.rand(1, 3, *shape, generator=generator) - 1).to(device) for shape in own]
        for own in geometry.domain_shapes
    )


def take_steps(
    recipe: PairRecipe | OneImageRecipe,
    geometry: AnyGeometry,
    architecture: Architecture,
    scale: int,
    count: int,
    device: torch.device,
    watch: Watch,
) -> Taken:
    """Steps of a scale, from 0, and what is made once for them, under a watch."""
    nets = networks(scale, geometry.stop_scale, architecture).to(device)
    state = ScaleState(scale, nets, recipe.optimiser, (0.1,) * len(geometry.domain_shapes))
    run = run_of(geometry, architecture, scale, device)
    taken: Taken = []
    with watch(), recipe.steps(run, state, int) as take_step:
        for _ in range(count):
            state.set_rates(count)
            taken.append(take_step(state.step))
            state.step += 1
            state.add(taken[-1][0])
    return taken


def pair_steps(
    device: torch.device,
    watch: Watch = nullcontext,
    geometry: Geometry = GEOMETRY,
    architecture: Architecture = PAIR,
    scale: int = 1,
    count: int = 1,
    real_a: RealSource | None = None,
    **changes: object,
) -> Taken:
    """Steps of a pair; changes are of the recipe."""
    reals = [still(own) for own in reals_of(geometry, device)]
    settings = dict(weights=LossWeights(), noise_amps=(0.1, 0.1), coarsest_sigmas=(0.1, 0.1), seed=1)
    settings |= dict(fixed_rec=False, real_start=0.0, recompute=False, optimiser=OptimiserSettings(lr_decay=0.5))
    reals = (real_a or reals[0], reals[1])
    recipe = PairRecipe(**(settings | changes), reals=reals)
    return take_steps(recipe, geometry, architecture, scale, count, device, watch)


def one_image_steps(device: torch.device, watch: Watch = nullcontext, scale: int = 1, **changes: object) -> Taken:
    """A step of a single image's pyramid; changes are of the recipe."""
    (reals,) = reals_of(ONE_IMAGE, device)
    recipe = OneImageRecipe(reals=reals, seed=1, **changes)
    return take_steps(recipe, ONE_IMAGE, SINGLE, scale, 1, device, watch)
