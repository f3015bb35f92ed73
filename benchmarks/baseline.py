"""The training step as the published program computes it, to compare the program's own with."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.architecture import ScaleNetworks
from models.blocks import ConvBlock
from models.pyramid import Pyramid
from training.losses import LossWeights
from training.optimisers import OptimiserSettings
from training.step import DomainInputs, StepInputs
from utils.resize import resize_weights

# What a side starts from: networks, both pyramids of finished scales, noise amplitudes, real pictures.
Start = tuple[ScaleNetworks, tuple[Pyramid, Pyramid], tuple[float, float], tuple[Tensor, Tensor]]


class Baseline:
    """docs/method.md, section 6 call by call, the way the published program computes it.

    Every step makes its own draws through all coarser scales, one picture at a time, enlarged on the host from
    8 bits. Every network call is on one picture, with batch normalisation; every penalty is by itself. The
    generators' loss is one graph, whose gradients also reach the discriminators' weights. Adam and threads are
    PyTorch's defaults, and every loss is read on the host.
    """

    chunk = 1  # draws are made a step at a time

    def __init__(self, start: Start, weights: LossWeights, rates: OptimiserSettings) -> None:
        networks, pyramids, self.sigmas, self.reals = start
        self.networks, self.weights = batch_normalised(networks), weights
        self.pyramids = copy.deepcopy(pyramids)
        for pyramid in self.pyramids:
            pyramid.generators = [batch_normalised(generator) for generator in pyramid.generators]
        both_g, both_d = nn.ModuleList(self.networks.generators), nn.ModuleList(self.networks.discriminators)
        self.optimiser_g = torch.optim.Adam(both_g.parameters(), lr=rates.lr_g, betas=(rates.beta1, 0.999))
        self.optimiser_d = torch.optim.Adam(both_d.parameters(), lr=rates.lr_d, betas=(rates.beta1, 0.999))

    def take_step(self) -> None:
        self.step((self.inputs(0), self.inputs(1)))

    def inputs(self, domain: int) -> DomainInputs:
        """Everything random in a step of one domain."""
        pyramid, real = self.pyramids[domain], self.reals[domain]
        zero = torch.zeros(1, 3, *pyramid.shapes[0], device=real.device)
        prev, z_prev = self.draw(pyramid, zero, True), self.draw(pyramid, torch.randn_like(zero), False)
        noisy = self.sigmas[domain] * torch.randn_like(prev) + prev
        return DomainInputs(noisy, prev, z_prev, torch.rand(2, device=real.device))

    @torch.no_grad()
    def draw(self, pyramid: Pyramid, image: Tensor, noisy: bool) -> Tensor:
        """From the coarsest scale to the one that trains (docs/method.md, section 4); (1, 3, H, W)."""
        for i, (generator, sigma) in enumerate(zip(pyramid.generators, pyramid.sigmas, strict=True)):
            image = generator(sigma * torch.randn_like(image) + image if noisy else image, image)
            image = upsample_on_host(image, pyramid.factor, pyramid.shapes[i + 1])
        return image

    def step(self, inputs: StepInputs) -> dict[str, float]:
        """Update both discriminators, then both generators; the weighted loss terms, named as the program's."""
        (noisy_a, prev_a, z_prev_a, mix_a), (noisy_b, prev_b, z_prev_b, mix_b) = (domain[:4] for domain in inputs)
        (g_a, g_b), (d_a, d_b), (real_a, real_b) = self.networks.generators, self.networks.discriminators, self.reals
        fake_a, fake_b = g_a(noisy_a, prev_a), g_b(noisy_b, prev_b)
        rec_a, rec_b = g_a(z_prev_a, z_prev_a), g_b(z_prev_b, z_prev_b)
        b2a, a2b = g_a(fake_b, fake_b), g_b(fake_a, fake_a)
        cyc_a, cyc_b = g_a(a2b, a2b), g_b(b2a, b2a)

        losses_d = self.discriminator_losses("a", d_a, real_a, b2a.detach(), fake_a.detach(), mix_a)
        losses_d |= self.discriminator_losses("b", d_b, real_b, a2b.detach(), fake_b.detach(), mix_b)
        self.optimiser_d.zero_grad()
        sum(losses_d.values()).backward()
        self.optimiser_d.step()

        losses_g = {
            "G/adversarial_a": -d_a(b2a).mean() - d_a(fake_a).mean(),
            "G/adversarial_b": self.weights.lambda_g * (-d_b(a2b).mean() - d_b(fake_b).mean()),
            "G/reconstruction_a": self.weights.alpha * F.mse_loss(rec_a, real_a),
            "G/reconstruction_b": self.weights.alpha * F.mse_loss(rec_b, real_b),
            "G/cycle_a": self.weights.beta * F.mse_loss(cyc_a, fake_a),
            "G/cycle_b": self.weights.beta * F.mse_loss(cyc_b, fake_b),
        }
        self.optimiser_g.zero_grad()
        sum(losses_g.values()).backward()
        self.optimiser_g.step()
        return {name: loss.item() for name, loss in (losses_d | losses_g).items()}

    def discriminator_losses(
        self, domain: str, discriminator: nn.Module, real: Tensor, translated: Tensor, fake: Tensor, mix: Tensor
    ) -> dict[str, Tensor]:
        def penalty(picture: Tensor, share: Tensor) -> Tensor:
            point = (share * real + (1 - share) * picture).requires_grad_()
            (gradient,) = torch.autograd.grad(discriminator(point).sum(), point, create_graph=True)
            return self.weights.lambda_grad * ((gradient.norm(2, dim=1) - 1) ** 2).mean()

        return {
            f"D/real_{domain}": -2 * discriminator(real).mean(),
            f"D/fake_{domain}": discriminator(translated).mean() + discriminator(fake).mean(),
            f"D/penalty_{domain}": penalty(translated, mix[0]) + penalty(fake, mix[1]),
        }


def batch_normalised(network: nn.Module) -> nn.Module:
    """A copy with batch normalisation in training mode: on one picture, normalisation per image."""
    network = copy.deepcopy(network)
    for block in [module for module in network.modules() if isinstance(module, ConvBlock)]:
        scale, shift = block.norm.weight, block.norm.bias
        block.norm = nn.BatchNorm2d(len(scale), device=scale.device)
        block.norm.weight, block.norm.bias = scale, shift
    return network


def upsample_on_host(image: Tensor, factor: float, shape: tuple[int, int]) -> Tensor:
    """Enlarge (1, 3, H, W) on the CPU: truncated to 8 bits, bicubic with weights made anew, and back."""
    pixels = (127.5 * (image[0].clamp(-1, 1) + 1)).cpu().to(torch.uint8)
    rows, columns = map(resize_weights, pixels.shape[1:], (1 / factor,) * 2, shape)
    enlarged = torch.from_numpy(rows) @ pixels.double() @ torch.from_numpy(columns).T
    return (enlarged[None] / 127.5 - 1).clamp(-1, 1).float().to(image.device)
