"""The training step in pieces, for a CPU of several threads and for little memory (docs/method.md, section 6).

It computes what the plain step in training/step.py computes, which is the text to read first. The networks are too
small to keep several cores busy with one call, but the two domains do the same work on different numbers. So
backpropagation is cut into pieces, and each domain has a thread: faster than the plain step on an idle machine, and far
less hurt by other processes, because no team of threads waits for its slowest member. It also holds less of the graph.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from models.networks import ScaleNetworks
from training.batching import batches_with, generate, share_call
from training.losses import LossWeights, layout_loss, scores
from training.optimisers import Optimisers
from training.step import StepInputs, discriminator_loss, weighted

Result = TypeVar("Result")


class DomainThreads:
    """Context manager: runs functions for domain a and for domain b, side by side on a CPU.

    Inside, each of the two threads has half of PyTorch's threads for itself.
    """

    def __enter__(self) -> "DomainThreads":
        self.threads = torch.get_num_threads()
        torch.set_num_threads(max(1, self.threads // 2))
        self.pool = ThreadPoolExecutor(1)
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()
        torch.set_num_threads(self.threads)

    def __call__(self, *stages: Callable[[int], Result]) -> tuple[Result, Result]:
        """For each domain all stages, in their order; a stage gets the domain's index, 0 or 1.

        Returns:
            What the last stage returned for a and for b.
        """
        other = self.pool.submit(run_stages, 1, stages)
        try:
            mine = run_stages(0, stages)
        finally:
            wait([other])
        return mine, other.result()


def one_by_one(*stages: Callable[[int], Result]) -> tuple[Result, Result]:
    """All stages for domain a, then for domain b; what the last one returned for each."""
    return run_stages(0, stages), run_stages(1, stages)


def run_stages(domain: int, stages: Sequence[Callable[[int], Result]]) -> Result:
    """All stages for a domain; what the last one returned."""
    for stage in stages:
        result = stage(domain)
    return result


class Cut:
    """An image cut out of the graph that made it, (1, 3, H, W).

    What uses the image starts from `leaf`, in whose `grad` the backward passes of all that uses it add up;
    `backward_through` hands that on to the graph of `image`. It is ordinary backpropagation, in pieces that both
    domains can work on at the same time. Both may add to the same leaf: autograd lets one wait for the other, and
    which of two comes first does not change their sum.
    """

    def __init__(self, image: Tensor) -> None:
        self.image, self.leaf = image, image.detach().requires_grad_()


def backward_through(cuts: Sequence[Cut], losses: Sequence[Tensor] = ()) -> None:
    """One backward pass from the images of cuts, with the gradients at their leaves, and from scalar losses."""
    gradients = [cut.leaf.grad for cut in cuts] + [None] * len(losses)
    torch.autograd.backward([cut.image for cut in cuts] + list(losses), gradients)


def side_by_side_step(
    networks: ScaleNetworks,
    optimisers: Optimisers,
    inputs: StepInputs,
    reals: tuple[Tensor, Tensor],
    weights: LossWeights,
    both: Callable,
    recompute: bool = False,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What `training.step.training_step` computes, in pieces that the two domains can work on at the same time.

    Domain x is a (index 0) or b (index 1), y is the other one; y2x is the translation into x: b2a for a, a2b for b.
    The fakes of x with their weights w: y2x (1), fake_x (1), and, unless lambda_self is 0, self_x (lambda_self).
    GP includes lambda_grad. Every stage is done for both domains; that of x changes no networks but x's.

    | stage                 | makes, and its terms of L_D_x and L_G                                                |
    | --------------------- | ------------------------------------------------------------------------------------ |
    | sample                | fake_x = G_x(n_x, prev_x); rec_x = G_x(z_prev_x, z_prev_x)                           |
    |                       | L_G: alpha mse(rec_x, real_x)                                                        |
    | translate             | y2x = G_x(fake_y, fake_y); self_x = G_x(v_x, v_x) with v_x = sigma_x z + real_y      |
    | update_discriminator  | L_D_x: sum over fakes of w (-mean D_x(real_x) + mean D_x(fake) + GP(real_x, fake))   |
    |                       | then D_x's Adam step                                                                 |
    | adversarial           | L_G: sum over fakes of -w mean D_x(fake), for b times lambda_g, by the updated D_x   |
    | cycle                 | cyc_x = G_x(x2y, x2y); L_G: beta mse(cyc_x, fake_x)                                  |
    | layout                | L_G: lambda_layout `layout_loss`(y2x, fake_y), which leaves fake_y alone             |
    | backward_translations | L_G's gradient at y2x and self_x, through G_x: to its weights and fake_y             |
    | update_generator      | L_G's gradient at fake_x, through G_x: to its weights; then G_x's Adam step          |

    Args:
        reals: A and B at this scale, (1, 3, H, W) each, [-1, 1]; their shapes may differ.
        both: runs stages for both domains: `DomainThreads`, or `one_by_one` for the least memory.
        recompute: keep nothing of the samples' and translations' graphs but their inputs; the backward passes compute
            the rest again.

    Returns:
        The weighted loss terms, detached scalars on the device, under slash-path names such as `D/penalty_a`, and the
        images made before the update, (1, 3, H, W) each: fake_a, fake_b, b2a, a2b.
    """
    generators, discriminators = networks.generators, networks.discriminators
    fake_weights = [1.0, 1.0] + ([weights.lambda_self] if weights.lambda_self else [])
    losses: tuple[dict[str, Tensor], ...] = ({}, {})
    samples: list[Cut | None] = [None, None]  # fake_x
    with_sample: tuple[list[Tensor], ...] = ([], [])  # reconstruction losses whose graph is the sample's, too
    translations: list[list[Cut]] = [[], []]  # y2x and, with the self term, self_x

    def fakes_of(x: int) -> list[Cut]:
        y2x, *self_x = translations[x]
        return [y2x, samples[x], *self_x]

    def sample(x: int) -> None:
        optimisers.generators[x].zero_grad()
        noisy, prev, z_prev = inputs[x].noisy, inputs[x].prev, inputs[x].z_prev
        images, bases = [noisy], [prev]
        if weights.alpha and share_call([noisy, z_prev]):
            images, bases = [noisy, z_prev], [prev, z_prev]
        elif weights.alpha:  # Its own graph is gone before the sample's is made.
            reconstruction_loss(x, generators[x](z_prev, z_prev)).backward()
        fake, *rec = generate(generators[x], images, bases, recompute)
        samples[x] = Cut(fake)
        with_sample[x].extend(reconstruction_loss(x, image) for image in rec)

    def reconstruction_loss(x: int, rec: Tensor) -> Tensor:
        loss = weights.alpha * F.mse_loss(rec, reals[x])
        losses[x]["G/reconstruction"] = loss
        return loss

    def translate(x: int) -> None:
        y = 1 - x
        images = [samples[y].leaf]
        if weights.lambda_self:
            images.append(inputs[x].self_noise + reals[y])
        translations[x] = [Cut(image) for image in generate(generators[x], images, images, recompute)]

    def update_discriminator(x: int) -> None:
        optimisers.discriminators[x].zero_grad()
        images = [fake.image for fake in fakes_of(x)]
        loss = (discriminators[x], reals[x], images, fake_weights, inputs[x].mix, weights.lambda_grad)
        losses[x].update(discriminator_loss("", *loss, each=Tensor.backward))
        optimisers.discriminators[x].step()

    def adversarial(x: int) -> None:
        domain_weight = (1.0, weights.lambda_g)[x]
        leaves = [fake.leaf for fake in fakes_of(x)]
        terms: list[Tensor] = []
        for batch, own_leaves, own_weights in batches_with(leaves, leaves, fake_weights):
            own = weighted(own_weights, -domain_weight * scores(discriminators[x], batch))
            sum(own).backward(inputs=own_leaves)  # only these: the discriminator's weights need no gradient here
            terms += own
        losses[x]["G/adversarial"] = sum(terms)

    def cycle(x: int) -> None:
        if weights.beta:
            x2y = translations[1 - x][0].leaf
            loss = weights.beta * F.mse_loss(generators[x](x2y, x2y), samples[x].leaf)
            loss.backward()
            losses[x]["G/cycle"] = loss

    def layout(x: int) -> None:
        if weights.lambda_layout:
            loss = weights.lambda_layout * layout_loss(translations[x][0].leaf, samples[1 - x].image)
            loss.backward()
            losses[x]["G/layout"] = loss

    def backward_translations(x: int) -> None:
        backward_through(translations[x])

    def update_generator(x: int) -> None:
        backward_through([samples[x]], with_sample[x])
        optimisers.generators[x].step()

    # Each call waits for both domains: the next stages need what the other one made.
    both(sample)
    both(translate)
    both(update_discriminator, adversarial, cycle)
    # Not before: of three gradients from two threads at one leaf, the sum would depend on which came first.
    both(layout, backward_translations)
    both(update_generator)

    terms = {
        f"{name}_{domain}": term.detach()
        for domain, own in zip("ab", losses, strict=True)
        for name, term in own.items()
    }
    images = {"fake_a": samples[0], "fake_b": samples[1], "b2a": translations[0][0], "a2b": translations[1][0]}
    return terms, {name: cut.image.detach() for name, cut in images.items()}
