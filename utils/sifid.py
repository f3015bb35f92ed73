"""Single image Fréchet inception distance: how alike the local features of two images are. Lower is better.

Source: Rott Shaham et al., "SinGAN" (2019), section 3.2. The features are those of Inception v3 behind its first max
pooling, 64 numbers a location; the distance is the Fréchet distance of the two images' locations, taken as two normal
distributions. The weights are torchvision's for ImageNet, as in the published program.
"""

import socket

import torch
from torch import Tensor, nn

from utils.errors import UserError

# From this side on the features have two by two locations or more.
MIN_SIDE = 15
# Seconds without an answer after which the weights' download is given up.
PATIENCE = 20.0


def load_inception_stem(device: torch.device) -> nn.Module:
    """Inception v3 up to its first max pooling, with torchvision's weights: from its cache, else downloaded.

    Raises:
        UserError: torchvision or they cannot be had; the line says where they come from and where to put them.
    """
    try:
        from torchvision.models import Inception_V3_Weights, inception_v3  # two seconds; only this needs it
    except Exception as error:  # Beside another PyTorch than its own, torchvision raises a RuntimeError.
        raise UserError(
            f"SIFID needs torchvision, which cannot be imported ({error}); install it beside torch"
        ) from None

    weights, before = Inception_V3_Weights.IMAGENET1K_V1, socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(PATIENCE)  # torch hub's download has no time limit of its own
        network = inception_v3(weights=weights, progress=False)
    except Exception as error:  # No network, a proxy, a damaged file: each raises its own kind.
        folder = f"{torch.hub.get_dir()}/checkpoints"
        raise UserError(
            f"SIFID needs Inception v3's weights, which cannot be loaded ({error}); put {weights.url} into {folder}/"
        ) from None
    finally:
        socket.setdefaulttimeout(before)
    return inception_stem(network).to(device)


def inception_stem(network: nn.Module) -> nn.Module:
    """The layers of torchvision's Inception v3 up to its first max pooling, for use, not for training."""
    stem = nn.Sequential(network.Conv2d_1a_3x3, network.Conv2d_2a_3x3, network.Conv2d_2b_3x3, network.maxpool1)
    return stem.eval().requires_grad_(False)


@torch.no_grad()
def sifid(image: Tensor, reference: Tensor, stem: nn.Module) -> float:
    """SIFID of two images. Lower is better; 0 for identical images, and the order does not matter.

    Args:
        image, reference: (1, 3, H, W) in [-1, 1], the range these weights are made for; at their own size.
        stem: `load_inception_stem`, on the images' device.

    Raises:
        ValueError: an image is smaller than MIN_SIDE.
    """
    return frechet_distance(_features(image, stem), _features(reference, stem))


def _features(image: Tensor, stem: nn.Module) -> Tensor:
    """(locations, channels), float64 on the CPU."""
    if min(image.shape[-2:]) < MIN_SIDE:
        raise ValueError(
            f"{image.shape[-1]}x{image.shape[-2]} pixels are too few for SIFID, {MIN_SIDE} a side are needed"
        )
    features = stem(image.float())
    return features[0].flatten(1).T.cpu().double()


def frechet_distance(one: Tensor, other: Tensor) -> float:
    """Squared Fréchet distance of two sets of vectors (n, d) and (m, d), as if of normal distributions.

    |mean_1 - mean_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)), with the covariances C divided by their number less one.
    """
    difference = one.mean(dim=0) - other.mean(dim=0)
    covariance, covariance_other = (torch.cov(vectors.T).reshape(one.shape[1], -1) for vectors in (one, other))
    # C_1 C_2 and C_1^(1/2) C_2 C_1^(1/2) have the same eigenvalues; the latter is symmetric, so they come out real.
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ covariance_other @ root).clamp_min(0).sqrt().sum()
    distance = difference.square().sum() + covariance.trace() + covariance_other.trace() - 2 * shared
    return max(0.0, distance.item())
