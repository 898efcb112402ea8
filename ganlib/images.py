"""What an image of the course is: 28 x 28 grey pixels, floats in [-1, 1]. Lesson 04."""

import math
from typing import Any

IMAGE_SHAPE = (1, 28, 28)
SLACK = 1e-3  # beyond [-1, 1]: resizing and rounding overshoot a little


def check_images(images: Any, name: str = "images", shape: tuple[int, ...] = IMAGE_SHAPE) -> None:
    """Raise ValueError unless ``images``, a tensor or an array (n, *shape), holds n >= 1 images with floats in [-1, 1].

    The error begins with ``name``, which is the caller's argument. Lesson 04.
    """
    if tuple(images.shape[1:]) != tuple(shape) or not len(images):
        expected = f"(n, {', '.join(map(str, shape))})"
        raise ValueError(
            f"{name} must have shape {expected} with n of at least 1, got {tuple(images.shape)}: "
            f"give flat images their shape with .reshape{expected.replace('n', '-1')}"
        )
    low, high = images.min().item(), images.max().item()
    mend = "divide pixels of 0 to 255 by 127.5 and subtract 1"
    if "float" not in str(images.dtype):  # so are the types named in torch and in numpy
        raise ValueError(f"{name} must be floats in [-1, 1], got {images.dtype} from {low:.4g} to {high:.4g}: {mend}")
    if not math.isfinite(low + high):
        raise ValueError(
            f"{name} must hold finite numbers, got NaN or infinity: the model that made them has diverged; if they are "
            "data, look at them before the training"
        )
    if low < -1 - SLACK or high > 1 + SLACK:
        raise ValueError(f"{name} must lie in [-1, 1], got {low:.4g} to {high:.4g}: {mend}")


def check_not_0_to_1(images: Any, name: str = "images") -> None:
    """Raise ValueError for ``images``, a tensor or an array of floats in [-1, 1], that look scaled to [0, 1].

    Those are images of which no pixel is negative though some are dark; images without contrast pass. Lesson 04.
    """
    low, high = images.min().item(), images.max().item()
    if 0 <= low < high and low < 0.5:  # brighter images may come from a generator that has collapsed to white
        raise ValueError(
            f"{name} must lie in [-1, 1], got {low:.4g} to {high:.4g} with no negative pixel, as images in [0, 1] have "
            "it: multiply by 2 and subtract 1, or let a generator for [0, 1] end in nn.Sigmoid()"
        )


def as_probabilities(images: Any) -> Any:
    """Return (images + 1) / 2: the pixels of ``images`` (n, ...) in [-1, 1] as shares of white in [0, 1]. Lesson 05."""
    return (images + 1) / 2
