"""The losses of both players, on logits: D(x) = sigmoid(logit). Both players minimise. Lessons 02 and 04."""

from collections.abc import Callable
from inspect import signature
from itertools import accumulate
from operator import mul
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus


def minimax_D(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return -V(D, G), the binary cross-entropy of the discriminator, as a sum of two means.

    Logits of any shape, finite; the result is a scalar >= 0, in nats: 2 log 2 = 1.386 when D says 1/2 to all.
    Goodfellow et al. 2014, equation 1. Lesson 02.
    """
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()  # -E log D(x) - E log(1 - D(G(z)))


def minimax_G(fake_logits: Tensor) -> Tensor:
    """Return the generator's part of V(D, G), which saturates: its gradient on a logit s is -sigmoid(s).

    Logits of any shape; the result is a scalar <= 0, in nats: -log 2 = -0.693 when D says 1/2 to all.
    Goodfellow et al. 2014, equation 1. Lesson 02.
    """
    return -softplus(fake_logits).mean()  # E log(1 - D(G(z)))


def non_saturating_G(fake_logits: Tensor) -> Tensor:
    """Return the generator's loss used in practice: its gradient on a logit s is -(1 - sigmoid(s)).

    Logits of any shape; the result is a scalar >= 0, in nats: log 2 = 0.693 when D says 1/2 to all.
    Goodfellow et al. 2014, section 3, last paragraph. Lesson 02.
    """
    return softplus(-fake_logits).mean()  # -E log D(G(z))


def least_squares_D(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return the squared distance of the scores from 1 (real) and 0 (fake), halved.

    Scores of any shape, not passed through a sigmoid; the result is a scalar >= 0: 1/4 when all scores are 1/2.
    Mao et al. 2017, equation 9. Lesson 03.
    """
    return ((real_logits - 1).square().mean() + fake_logits.square().mean()) / 2


def least_squares_G(fake_logits: Tensor) -> Tensor:
    """Return the squared distance of the fakes' scores from 1, halved.

    Scores of any shape; the result is a scalar >= 0: 1/8 when all scores are 1/2. Mao et al. 2017, equation 9.
    Lesson 03.
    """
    return (fake_logits - 1).square().mean() / 2


def hinge_D(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return the hinge loss: real scores below +1 and fake scores above -1 cost their distance.

    Scores of any shape; the result is a scalar >= 0: 2 when all scores are 0. Lim and Ye 2017, section 3.
    Lesson 03.
    """
    return (1 - real_logits).relu().mean() + (1 + fake_logits).relu().mean()


def hinge_G(fake_logits: Tensor) -> Tensor:
    """Return minus the mean score of the fakes, the generator's partner of the hinge loss.

    Scores of any shape; the result is an unbounded scalar. Lim and Ye 2017, section 3. Lesson 03.
    """
    return -fake_logits.mean()


def r1_penalty(real_logits: Tensor, x: Tensor) -> Tensor:
    """Return half the mean squared norm of D's gradient at the real samples, one norm for each logit.

    ``x`` must require gradients and have led to ``real_logits``, one for each sample: (n, 1) of x (n, ...), or
    (n, copies, 1) of x (n, copies, d); otherwise ValueError. The result is a scalar >= 0 with a graph, to be
    multiplied by gamma. Mescheder et al. 2018, equation 9. Lesson 03.
    """
    if not x.requires_grad:
        raise ValueError("x must require gradients, got a tensor that does not: call x.requires_grad_() before D(x)")
    if real_logits.numel() not in accumulate(x.shape, mul):  # a sample is all that the leading dimensions leave
        raise ValueError(
            f"real_logits must hold one logit for each sample of x, got {tuple(real_logits.shape)} for x of "
            f"{tuple(x.shape)}: average the logits of one sample first"
        )
    (gradient,) = torch.autograd.grad(real_logits.sum(), x, create_graph=True)
    return gradient.reshape(real_logits.numel(), -1).square().sum(1).mean() / 2


class Pair(NamedTuple):
    """The losses of both players, and what D's answer means.

    ``loss_D`` takes real and fake logits; ``loss_G`` the fake ones, or real and fake where it compares them. With
    ``logits`` False D's answers are scores: their sigmoid is no probability. Lesson 03.
    """

    loss_D: Callable[[Tensor, Tensor], Tensor]
    loss_G: Callable[..., Tensor]
    logits: bool = True

    @property
    def compares(self) -> bool:
        """Whether the generator's loss takes the real logits too. Lesson 03."""
        return sum(p.default is p.empty for p in signature(self.loss_G).parameters.values()) == 2


#: what ``GAN(loss=...)`` may name
LOSSES: dict[str, Pair] = {
    "minimax": Pair(minimax_D, minimax_G),
    "non-saturating": Pair(minimax_D, non_saturating_G),
    "least-squares": Pair(least_squares_D, least_squares_G, logits=False),
    "hinge": Pair(hinge_D, hinge_G, logits=False),
}
