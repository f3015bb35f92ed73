"""Single image Fréchet inception distance: how alike the local features of two images are. Lower is better.

Source: Rott Shaham et al., "SinGAN" (2019), section 3.2, with torchvision's weights for ImageNet.
"""

import socket

import torch
from torch import Tensor, nn

from utils.errors import UserError

WEIGHTS = "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth"
PATIENCE = 20.0  # seconds without an answer after which the download is given up


def load_inception_stem(device: torch.device) -> nn.Module:
    """Inception v3 up to its first max pooling: from torch hub's cache, else downloaded; UserError without both."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)  # torch hub's download has no time limit of its own
    try:
        from torchvision.models import inception_v3  # two seconds; only this needs it

        net = inception_v3(weights="IMAGENET1K_V1", progress=False)
    except Exception as error:  # No network, a proxy, a damaged file, another torchvision: each raises its own kind.
        raise UserError(
            f"SIFID needs torchvision's Inception v3, which cannot be loaded ({' '.join(str(error).split())}); "
            f"put {WEIGHTS} into {torch.hub.get_dir()}/checkpoints/"
        ) from None
    finally:
        socket.setdefaulttimeout(before)
    stem = nn.Sequential(net.Conv2d_1a_3x3, net.Conv2d_2a_3x3, net.Conv2d_2b_3x3, net.maxpool1)
    return stem.eval().requires_grad_(False).to(device)


@torch.no_grad()
def sifid(image: Tensor, reference: Tensor, stem: nn.Module) -> float:
    """Fréchet distance of two images' locations behind the `stem`, 64 numbers each; 0 for identical images.

    Images are (1, 3, H, W) in [-1, 1], with sides of 15 pixels or more.
    """
    return frechet_distance(*(stem(side.float())[0].flatten(1).T.cpu().double() for side in (image, reference)))


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """Squared Fréchet distance of two sets of vectors (n, d) and (m, d), as if of normal distributions.

    |mean_1 - mean_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)), with the covariances C divided by their number less one.
    """
    means = (one.mean(dim=0) - other.mean(dim=0)).square().sum()
    one, other = torch.cov(one.T), torch.cov(other.T)
    # C_1 C_2 and C_1^(1/2) C_2 C_1^(1/2) have the same eigenvalues; the latter is symmetric, so they come out real.
    values, vectors = torch.linalg.eigh(one)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ other @ root).clamp_min(0).sqrt().sum()
    return max(0.0, (means + one.trace() + other.trace() - 2 * shared).item())
