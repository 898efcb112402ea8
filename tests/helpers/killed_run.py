"""A training run that is killed again and again: the child of test_checkpoints' SIGKILL test.

``python killed_run.py FOLDER KILLS SEED`` imports torch once, then forks one process per attempt. Each attempt resumes
from the checkpoint, trains and saves every 10 steps, and kills itself with SIGKILL at a random line of code after a
random number of further steps, every other one while it saves or just before; a last one goes on a little. Lines are
counted and not seconds, so that a busy machine kills no earlier. The parameters then stand in FOLDER/killed.pt, those
of an unbroken run in unbroken.pt; printed are the steps reached at each kill, and whether it fell into a save.
"""

import os
import random
import signal
import sys
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


def run(path, until, resume=True, kill=None):
    """Train to ``until``; die at the line ``kill[1]`` of all that runs after ``kill[0]`` further steps."""
    gan, batches = build()
    if resume and path.exists():
        load(path, gan, batches)
    begun = gan.steps_done
    for step, _ in train(gan, batches, until=until, progress=False):
        if resume and step % 10 == 0:
            save(path, gan, batches)
        if kill and step - begun == kill[0]:
            die_at_line(kill[1], path)
    return gan


def die_at_line(left, path):
    def at_line(frame, event, _):
        nonlocal left
        left -= 1
        if left < 0:
            names = set()
            while frame:
                names.add(frame.f_code.co_name)
                frame = frame.f_back
            path.with_suffix(".died").write_text(str(int("save" in names)))
            os.kill(os.getpid(), signal.SIGKILL)
        return at_line

    sys.settrace(at_line)


def main(folder, kills, seed):
    folder, rng = Path(folder), random.Random(seed)
    path = folder / "gan.pt"
    reached, in_a_save = [], []
    for kill in range(kills):
        steps = rng.choice((9, 19)) if kill % 2 else rng.randint(1, 29)
        line = rng.randrange(100_000 if kill % 2 else 6_000)  # a save is about 100,000 lines, a step 6,000
        child = os.fork()
        if child == 0:
            run(path, 10**9, kill=(steps, line))
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        gan, batches = build()
        if path.exists():
            load(path, gan, batches)
        reached.append(gan.steps_done)
        in_a_save.append(int(path.with_suffix(".died").read_text()))
    until = reached[-1] + 7
    torch.save(run(path, until).state_dict(), folder / "killed.pt")
    torch.save(run(path, until, resume=False).state_dict(), folder / "unbroken.pt")
    print(*reached)
    print(*in_a_save)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
