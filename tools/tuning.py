"""The search of lesson 05: GAN, VAE and a VAE with a learnt prior, six settings each, at equal cost."""

import time
from typing import Any

import torch
from quality import SAMPLES, measure, rounded
from torch import Tensor, nn

from ganlib import data, judge, models
from ganlib.flow import Flow, TimeInput
from ganlib.gan import GAN
from ganlib.training import Minibatches
from ganlib.vae import VAE, Gaussian, reparameterise

ABOUT = (
    "the search of lesson 05 on MNIST: six settings of each of three models, all at the cost of 2,500 steps of the "
    "GAN's better recipe, seed 100; frechet: of 10,000 samples from 10,000 training images, since test images are kept "
    "for the comparison"
)
SEED = 100
FIRST = 8  # steps: what they lead to hardly depends on the machine
AND = ""
#: steps that cost as much as 2,500 of the GAN's with minibatches of 128: on one thread, in turns, a step of the VAE
#: took 0.72 of the GAN's, one of the flow with three layers of 256 took 0.26, one of the GAN with 64 images 0.68
STEPS = {"GAN": 2500, "GAN, 64": 3700, "VAE": 3500, "its VAE": 2200, "its flow": 3600}

GANS: dict[str, dict[str, Any]] = {
    "better recipe": {},
    "no R1": {"r1": 0.0},
    "64 images, no R1, rate 7e-4": {"batch": 64, "r1": 0.0, "lr": 7e-4},
    "64 images, R1 0.05 every 16th": {"batch": 64, "r1": 0.05, "r1_every": 16},
    "rate 2e-3": {"lr": 2e-3},
    "rate 5e-4": {"lr": 5e-4},
}
VAES: dict[str, dict[str, Any]] = {
    "20 latents": {},
    "beta 2": {"beta": 2.0},
    "beta 0.5": {"beta": 0.5},
    "10 latents": {"latent_dim": 10},
    "rate 2e-3": {"lr": 2e-3},
    "Gaussian, sigma 0.5": {"likelihood": Gaussian(0.5)},
}
LATENT: dict[str, dict[str, Any]] = {
    "beta 0.1": {"beta": 0.1},
    "beta 1": {"beta": 1.0},
    "beta 0.3": {"beta": 0.3},
    "beta 0.03": {"beta": 0.03},
    "beta 0.1, 12 latents": {"beta": 0.1, "latent_dim": 12},
    "beta 0.1, flow with rate 1e-3": {"beta": 0.1, "flow_lr": 1e-3},
}
SETTINGS = {"GAN": GANS, "VAE": VAES, "VAE with a learnt prior": LATENT}


def units() -> list[dict[str, Any]]:
    """Every run of the search."""
    return [{"model": model, "setting": name} for model, settings in SETTINGS.items() for name in settings]


def gan_of(seed: int, *, lr: float = 1e-3, r1: float = 0.1, r1_every: int = 4, **_: Any) -> GAN:
    """The GAN of the better recipe, with changes."""
    G, D = models.better_pair(seed=seed)
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr=lr, betas=(0.0, 0.99), fused=True) for net in (G, D))
    latent = models.NormalLatent(32)
    return GAN(G, D, opt_G, opt_D, latent, r1=r1, r1_every=r1_every, average=0.998, seed=seed)


def vae_of(seed: int, *, latent_dim: int = 20, lr: float = 1e-3, **settings: Any) -> VAE:
    """The VAE of the lesson, with changes."""
    encoder, decoder = models.vae_pair(latent_dim, seed=seed)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=lr, fused=True)
    return VAE(encoder, decoder, optimizer, latent_dim, average=0.998, seed=seed, **settings)


def flow_of(dim: int, seed: int, *, lr: float = 2e-3, width: int = 256) -> Flow:
    """A flow with three hidden layers."""
    network = TimeInput(models.mlp(dim + 16, width, width, width, dim, activation=nn.SiLU, seed=seed))
    return Flow(network, torch.optim.Adam(network.parameters(), lr=lr, fused=True), dim, average=0.998, seed=seed)


class LearntPrior:
    """A VAE, and a flow that has learnt where its codes lie: it draws codes, and the decoder makes images of them."""

    def __init__(self, vae: VAE, images: Tensor, seed: int, lr: float) -> None:
        self.vae = vae
        codes = reparameterise(*vae.encode(images), torch.Generator().manual_seed(seed))
        self.mean, self.sd = codes.mean(0), codes.std(0)
        self.flow = flow_of(vae.latent_dim, seed, lr=lr)
        self.batches = Minibatches((codes - self.mean) / self.sd, batch_size=256, seed=seed)

    def sample(self, n: int, *, seed: int, calls: int = 16) -> Tensor:
        """n images (n, 1, 28, 28), by ``calls`` of the flow and one of the decoder."""
        return self.vae.generate(self.mean + self.sd * self.flow.sample(n, seed=seed, calls=calls))


def trained(model: str, settings: dict[str, Any], images: Tensor, seed: int, share: float = 1.0) -> tuple[Any, float]:
    """The model after a share of its steps, and the CPU seconds of all that it took."""
    begun = time.process_time()
    settings = dict(settings)
    batches = Minibatches(images, batch_size=settings.get("batch", 128), seed=seed)
    if model == "GAN":
        made: Any = gan_of(seed, **settings)
        _steps(made, batches, share * STEPS["GAN, 64" if "batch" in settings else "GAN"])
    elif model == "VAE":
        made = vae_of(seed, **settings)
        _steps(made, batches, share * STEPS["VAE"])
    else:
        lr = settings.pop("flow_lr", 2e-3)
        vae = vae_of(seed, **settings)
        _steps(vae, batches, share * STEPS["its VAE"])
        made = LearntPrior(vae, images, seed, lr)
        _steps(made.flow, made.batches, share * STEPS["its flow"])
    return made, time.process_time() - begun


def _steps(model: Any, batches: Minibatches, n: float) -> None:
    for _ in range(round(n)):
        model.step(batches)


def run(model: str, setting: str, share: float = 1.0) -> list[dict[str, Any]]:
    """Train one setting, and measure its samples against training images."""
    torch.set_num_threads(1)
    mnist = data.load("mnist")
    made, seconds = trained(model, SETTINGS[model][setting], mnist.train_images, SEED, share)
    the_judge = judge.load(mnist, progress=False)
    real = the_judge.read(mnist.train_images[:SAMPLES]).features
    found = measure(real, the_judge.read(made.sample(SAMPLES, seed=SEED + 1000)))
    return [rounded({"model": model, "setting": setting, "cpu_s": seconds, **found})]


def first_steps() -> dict[str, Any]:
    """Where the first steps of each setting lead: a fingerprint of this code."""
    torch.set_num_threads(1)
    images = data.load("mnist").train_images
    found = {}
    for unit in units():
        model, setting = unit["model"], unit["setting"]
        made, _ = trained(
            model, SETTINGS[model][setting], images, SEED, FIRST / STEPS["its VAE" if "prior" in model else model]
        )
        found[f"{model}, {setting}"] = rounded({"spread": made.sample(1000, seed=0).std().item()})
    return found
