"""A training run that is killed again and again: the child of test_checkpoints' SIGKILL test.

``python killed_run.py FOLDER KILLS SEED`` imports torch once, then forks one process per attempt. Each attempt resumes
from the checkpoint, trains and saves every 50 steps, and is killed with SIGKILL after a random number of further steps,
every other one just before a save; a last one goes on a little. The parameters then stand in FOLDER/killed.pt, those
of an unbroken run in unbroken.pt.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from ganlib import models
from ganlib.checkpoints import load, save
from ganlib.gan import GAN
from ganlib.training import Minibatches, train

torch.set_num_threads(1)


def build():
    images = torch.rand(400, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    G = models.mlp(8, 16, 784, batchnorm=True, seed=0)
    G = torch.nn.Sequential(*G, torch.nn.Tanh(), torch.nn.Unflatten(1, (1, 28, 28)))
    D = torch.nn.Sequential(torch.nn.Flatten(), *models.mlp(784, 16, 1, dropout=0.3, seed=1))
    optimizers = [torch.optim.Adam(net.parameters(), lr=1e-3, fused=True) for net in (G, D)]
    gan = GAN(G, D, *optimizers, models.NormalLatent(8), r1=0.1, r1_every=4, average=0.99, seed=0)
    return gan, Minibatches(images, batch_size=32)


def run(path, until, resume=True, counter=None):
    """Train to ``until``; each step that is done, and saved where it must be, adds a byte to the file ``counter``."""
    parent = os.getppid()
    gan, batches = build()
    if resume and path.exists():
        load(path, gan, batches)
    for step, _ in train(gan, batches, until=until, progress=False):
        if resume and step % 50 == 0:
            save(path, gan, batches)
        if counter:
            os.write(counter, b".")
            if os.getppid() != parent:  # nobody is left to kill this process
                os._exit(1)
    return gan


def main(folder, kills, seed):
    folder, rng = Path(folder), random.Random(seed)
    path = folder / "gan.pt"
    reached = []
    for kill in range(kills):
        counter = os.open(folder / f"steps-{kill}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        steps = rng.choice((49, 99)) if kill % 2 else rng.randint(1, 149)
        child = os.fork()
        if child == 0:
            run(path, 10**9, counter=counter)
            os._exit(1)
        # Steps are waited for, not seconds, so that a busy machine kills no earlier.
        while os.fstat(counter).st_size < steps and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))  # in the middle of a step or of a save
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        os.close(counter)
        gan, batches = build()
        if path.exists():
            load(path, gan, batches)
        reached.append(gan.steps_done)
    until = reached[-1] + 37
    torch.save(run(path, until).state_dict(), folder / "killed.pt")
    torch.save(run(path, until, resume=False).state_dict(), folder / "unbroken.pt")
    print(*reached)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
