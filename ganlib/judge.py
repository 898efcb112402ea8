"""The judge: a small digit classifier of our own. Metrics are computed from its features and its probabilities."""

import hashlib
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .claims import say
from .data import Dataset
from .files import cache_folder, write_whole
from .images import check_images, check_not_0_to_1
from .training import Minibatches

STEPS, BATCH_SIZE, LEARNING_RATE = 1400, 128, 2e-3
FEATURES = 64


class Reading(NamedTuple):
    """What the judge says of n images: ``features`` (n, 64) and ``probabilities`` (n, num_classes)."""

    features: Tensor
    probabilities: Tensor


class Judge(nn.Module):
    """Two convolutions, 64 features, one logit for each class: 98.8 % of MNIST's test images right. Lesson 04.

    ``load`` gives a trained one. The features are divided by one number, so that the variances of real test images
    sum to 64 and distances can be compared.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.body = nn.Sequential(  # images (n, 1, 28, 28) -> features (n, 64)
            nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.LeakyReLU(0.2),
            nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.LeakyReLU(0.2),
            nn.Flatten(), nn.Linear(32 * 7 * 7, FEATURES), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.head = nn.Linear(FEATURES, num_classes)
        self.unit: Tensor
        self.register_buffer("unit", torch.tensor(float("nan")))  # of the features; a number once it is trained

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, num_classes) of ``images`` (n, 1, 28, 28) in [-1, 1]. Lesson 04."""
        return self.head(self.body(images))

    @torch.no_grad()
    def read(self, images: Tensor) -> Reading:
        """Return features and probabilities of ``images`` (n, 1, 28, 28) in [-1, 1].

        Raises ValueError for images of another shape or range, [0, 1] included, and when the judge is not trained.
        Lesson 04.
        """
        if not self.unit.isfinite():
            raise ValueError(
                "judge must be trained before it reads, got a new one: judge.load(dataset) gives a trained one"
            )
        images = torch.as_tensor(images)
        check_images(images)
        check_not_0_to_1(images)
        features = torch.cat([self.body(block.to(self.unit.device)) for block in images.split(1000)])
        return Reading(features / self.unit, self.head(features).softmax(1))

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Return the share of ``images`` (n, 1, 28, 28) whose likeliest class is their label (n,). Lesson 04."""
        return (self.read(images).probabilities.argmax(1).cpu() == labels.cpu()).double().mean().item()


def load(dataset: Dataset, *, seed: int = 0, device: torch.device | str = "cpu", progress: bool = True) -> Judge:
    """Return the judge of ``dataset``, trained now (about 10 CPU seconds) or from the cache, and say which.

    The cache knows it by settings, data, ``seed`` and the code of this file. Lesson 04.
    """
    with torch.random.fork_rng(devices=[]):  # a learner's random numbers stay as they are
        judge = Judge(len(dataset.classes)).to(device)
    path = cache_folder() / "judges" / f"{_key(dataset, seed)}.pt"
    try:
        judge.load_state_dict(torch.load(path, map_location=device, weights_only=True))
    except Exception:  # not there, or cut off: either way a new one replaces it
        start = time.perf_counter()
        _train(judge, dataset, seed, progress)
        seconds = time.perf_counter() - start
        kept = "and kept for the next time" if _store(judge, path) else "and not kept: the cache cannot be written"
        say(f"judge: trained now on {dataset.name}, in {seconds:.0f} s, {kept}")
    else:
        say(f"judge: trained on {dataset.name} earlier, from the cache")
    return judge.eval().requires_grad_(False)


def pupil(
    images: Tensor,
    labels: Tensor,
    *,
    steps: int = 600,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    num_classes: int = 10,
    seed: int = 0,
) -> Judge:
    """Return a new network of the judge's build that has seen these ``images`` and ``labels`` and nothing else.

    Its accuracy on real test images tells what a set of training images is worth; on fakes alone that is the
    classification accuracy score (CAS) of Ravuri and Vinyals 2019, section 3. ``images`` (n, 1, 28, 28) in [-1, 1],
    ``labels`` (n,); it takes ``steps`` minibatches of at most 128, each changed by ``augment(images, rng)``. 600 steps
    are about 5 CPU seconds. Lesson 06.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Judge(num_classes).to(images.device)
    batches = Minibatches(images, labels, batch_size=min(BATCH_SIZE, len(images)), seed=seed)
    rng = torch.Generator(images.device).manual_seed(seed)
    moved = batches if augment is None else ((augment(x, rng), y) for x, y in batches)
    _fit(net, moved, steps)
    net.unit.fill_(1.0)  # it can read now; its features have a unit of their own
    return net.eval().requires_grad_(False)


def _train(judge: Judge, dataset: Dataset, seed: int, progress: bool) -> None:
    """Fit it to the training images, and find the unit of its features; the weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge.load_state_dict(Judge(judge.head.out_features).state_dict())
    batches = Minibatches(dataset.train_images, dataset.train_labels, batch_size=BATCH_SIZE, seed=seed)
    _fit(judge, batches, STEPS, progress)
    judge.unit.fill_(1.0)
    features = judge.read(dataset.test_images).features
    judge.unit.copy_((features.var(0).sum() / FEATURES).sqrt())


def _fit(net: Judge, batches: Iterator[tuple[Tensor, ...]], steps: int, progress: bool = False) -> None:
    """AdamW under a one-cycle schedule."""
    from tqdm.auto import trange

    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    device = net.unit.device
    for _ in trange(steps, desc="judge", unit="step", disable=not progress):
        x, y = next(batches)
        loss = F.cross_entropy(net(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _key(dataset: Dataset, seed: int) -> str:
    parts = hashlib.sha256(Path(__file__).read_bytes())
    for t in (dataset.train_images, dataset.train_labels, dataset.test_images):
        parts.update(t.cpu().numpy().tobytes())
    parts.update(str(seed).encode())
    return parts.hexdigest()[:16]


def _store(judge: Judge, path: Path) -> bool:
    content = io.BytesIO()
    torch.save(judge.state_dict(), content)
    try:
        with write_whole(path) as part:
            part.write_bytes(content.getvalue())
    except OSError:
        return False
    return True
