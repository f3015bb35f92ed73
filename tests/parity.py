"""The parity card: its numbers and its rule for filling tensors (docs/method.md, section 13)."""

import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn

CARD = json.loads(Path(__file__).with_name("parity.json").read_text())


def fill(shape: tuple[int, ...], seed: int) -> Tensor:
    k = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    value = k * (k + seed) * 0.6180339887498949
    return (2 * (value - value.floor()) - 1).float().view(shape)


@torch.no_grad()
def fill_network(network: nn.Module, base: int) -> nn.Module:
    """Fill parameter by parameter in the order head conv, norm, body likewise, tail."""
    index = 0
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.GroupNorm):
            continue
        weight, bias = fill(module.weight.shape, base + index), fill(module.bias.shape, base + index + 1)
        spread = 0.02 * math.sqrt(3) * weight
        module.weight.copy_(spread if isinstance(module, nn.Conv2d) else 1 + spread)
        module.bias.copy_(0.01 * bias)
        index += 2
    return network
