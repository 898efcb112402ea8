"""Checkpoints: a run that is saved, killed and resumed is the same run; what is damaged or does not fit is refused."""

import copy
import dataclasses
import inspect
import io
import math
import os
import pickle
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import crash
import numpy as np
import pytest
import torch
from small_gans import run, same, small, toy

from ganlib import checkpoints, files, models
from ganlib import gan as gan_module
from ganlib.checkpoints import load, save
from ganlib.flow import Flow, TimeInput
from ganlib.gan import GAN
from ganlib.losses import LOSSES
from ganlib.training import Minibatches
from ganlib.vae import VAE, Bernoulli, Gaussian


def trained(steps, path=None, **settings):
    """A small GAN and its minibatches, trained and saved."""
    gan, batches = small(**settings)
    run(gan, batches, steps)
    if path:
        save(path, gan, batches)
    return gan, batches


@pytest.mark.parametrize(("build", "dtype"), [(small, torch.float32), (toy, torch.float64)])
def test_resumed_run_is_bit_identical(build, dtype, tmp_path):
    gan, batches = build()
    log = dict(run(gan, batches, 30))[30]
    assert all(value.dtype == dtype for value in log.values())
    save(tmp_path / "gan.pt", gan, batches)
    run(gan, batches, 60)
    again, stream = build()
    load(tmp_path / "gan.pt", again, stream)
    run(again, stream, 60)
    assert same(gan.state_dict(), again.state_dict())
    assert gan.sample(5, seed=0).dtype == dtype


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, which Windows lacks")
def test_killed_twenty_times_and_resumed_is_bit_identical(tmp_path):
    script = Path(__file__).parent / "helpers" / "killed_run.py"
    done = subprocess.run([sys.executable, script, tmp_path, "20", "0"], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    reached, in_a_save = (list(map(int, line.split())) for line in done.stdout.splitlines())
    assert len(reached) == 20
    assert reached[-1] >= 50, f"too few steps between the kills to show anything: {reached}"
    assert sum(in_a_save) >= 3, f"too few kills while a checkpoint is written: {in_a_save}"
    killed, unbroken = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("killed", "unbroken"))
    assert same(killed, unbroken)


def check_moments(write, folder):
    """Stop ``write``, which is `save`, at each line and each call of the system: a whole checkpoint is there."""
    path, before, gan = folder / "gan.pt", folder / "gan.pt.previous", gan_with()
    save(path, gan)
    old, gan.steps_done = path.read_bytes(), 2
    deaths = crash.deaths(lambda: write(path, gan), write, files.write_whole)
    for moments, litter in ((deaths, True), (crash.failures(lambda: write(path, gan), folder), False)):
        for moment in moments:
            assert path.exists(), f"no checkpoint after {moment}"
            if path.read_bytes() != old:
                load(path, gan_with())
            if before.exists():
                assert before.read_bytes() == old, f"the checkpoint before is another after {moment}"
            assert litter or {*folder.iterdir()} <= {path, before}, f"litter after {moment}"
            last = torch.load(path)["model"]["steps_done"], before.exists()
            path.write_bytes(old)
            for rest in {*folder.iterdir()} - {path}:
                rest.unlink()
        assert last == (2, True)  # when nothing fails


@pytest.mark.slow
def test_whatever_the_moment_of_a_crash_a_whole_checkpoint_is_there(tmp_path):
    check_moments(save, tmp_path)


def test_a_checkpoint_that_is_moved_away_before_the_new_one_is_there_is_noticed(tmp_path):
    def moving(path, model):
        os.replace(path, path.with_name("gan.pt.previous"))
        save(path, model)

    with pytest.raises(AssertionError, match="no checkpoint after"):
        check_moments(moving, tmp_path)


def test_a_checkpoint_cut_off_is_refused_and_the_one_before_is_there(tmp_path):
    path = tmp_path / "gan.pt"
    gan, batches = trained(10, path)
    run(gan, batches, 20)
    save(path, gan, batches)
    whole = path.read_bytes()
    for part in (0, 0.01, 0.5, 0.99, 1 - 1 / len(whole)):
        path.write_bytes(whole[: round(part * len(whole))])
        other = small()
        before = copy.deepcopy(other[0].state_dict())
        what = "an empty file" if part == 0 else "cut off: the end of the file is missing"
        with pytest.raises(ValueError, match=rf"gan\.pt, which is {what}; the one before .*gan\.pt\.previous"):
            load(path, *other)
        assert same(before, other[0].state_dict())
    other, stream = small()
    load(tmp_path / "gan.pt.previous", other, stream)
    assert other.steps_done == 10
    run(other, stream, 20)
    assert same(other.state_dict(), gan.state_dict())


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "a.pt").write_text("hello", encoding="utf-8")
    torch.save({"weights": 1}, tmp_path / "b.pt")
    for name in ("a.pt", "b.pt"):
        with pytest.raises(ValueError, match="path must name a whole checkpoint"):
            load(tmp_path / name, *small())
    with pytest.raises(FileNotFoundError, match=r"path must name a checkpoint, got .*none\.pt, which is not there$"):
        load(tmp_path / "none.pt", *small())
    (tmp_path / "none.pt.previous").touch()
    with pytest.raises(FileNotFoundError, match=r"which is not there; the one before it is .*none\.pt\.previous$"):
        load(tmp_path / "none.pt", *small())


def saved(state, **how):
    with io.BytesIO() as file:
        torch.save(state, file, **how)
        return file.getvalue()


def numpys(**arrays):
    with io.BytesIO() as file:
        np.savez(file, **arrays)
        return file.getvalue()


OLD = {"_use_new_zipfile_serialization": False}
SAFE = b'\x36\0\0\0\0\0\0\0{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' + bytes(4)
WHOLE_OBJECT = "a whole Python object, not its state: "
OTHERS = {
    "a GAN's state": (lambda gan: saved(gan.state_dict()), r"without its settings: gan.load_state_dict\(torch.load"),
    "an old one": (lambda gan: saved(gan.state_dict(), **OLD), "without its settings: gan.load_state_dict"),
    "G's state": (lambda gan: saved(gan.G.state_dict()), r"state_dict of G alone: gan.G.load_state_dict\(torch.load"),
    "D's state": (lambda gan: saved(gan.D.state_dict()), r"state_dict of D alone: gan.D.load_state_dict\(torch.load"),
    "the average's": (lambda gan: saved(gan.averaged_G.state_dict()), "state_dict of averaged_G alone"),
    "another network's": (lambda gan: saved(torch.nn.Linear(2, 2).state_dict()), "of a network, with weight, bias"),
    "an optimizer's": (lambda gan: saved(gan.opt_G.state_dict()), "the state_dict of an optimizer: gan.opt_G.load"),
    "another training's": (lambda gan: saved({"epoch": 3, "net": {}}), "of another form, with the keys epoch, net:"),
    "a tensor": (lambda gan: saved(torch.zeros(3)), "a Tensor that torch.save wrote"),
    "a list": (lambda gan: saved([torch.zeros(3)]), "a list that torch.save wrote"),
    "a GAN": (lambda gan: saved(gan.G), WHOLE_OBJECT + "torch.load with weights_only=False"),
    "an old G": (lambda gan: saved(gan.G, **OLD), WHOLE_OBJECT + "torch.load with weights_only=False"),
    "a pickle": (lambda gan: pickle.dumps(gan.G), WHOLE_OBJECT + "pickle.load"),
    "arrays": (lambda gan: numpys(a=np.zeros(3)), r"a zip archive of something else, with a\.npy in it"),
    "safetensors": (lambda gan: SAFE, "a safetensors file, .*load_file"),
    "a page": (lambda gan: b"<!DOCTYPE html>", "a web page: usually"),
    "a pointer": (lambda gan: b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer: .*'git lfs pull'"),
    "Keras's": (lambda gan: b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
}


@pytest.mark.parametrize("weights_only", [False, True])
@pytest.mark.parametrize("kind", OTHERS)
def test_a_whole_file_of_another_kind_is_named_and_how_it_is_loaded(kind, weights_only, tmp_path):
    make, what = OTHERS[kind]
    path = tmp_path / "gan.pt"
    path.with_name("gan.pt.previous").touch()
    gan, _ = trained(2)
    path.write_bytes(make(gan))
    with pytest.raises(ValueError, match=f"path must name a whole checkpoint, .* which is .*{what}") as error:
        load(path, *small(), weights_only=weights_only)
    assert not any(word in str(error.value) for word in ("cut off", "damaged", "previous"))


def test_the_remedies_for_states_of_other_kinds_work(tmp_path):
    gan, _ = trained(5)
    path, other = tmp_path / "other.pt", small()[0]
    torch.save(gan.state_dict(), path)
    other.load_state_dict(torch.load(path))
    assert same(gan.state_dict(), other.state_dict())
    torch.save(gan.G.state_dict(), path)
    other = small()[0]
    other.G.load_state_dict(torch.load(path))
    assert same(gan.G.state_dict(), other.G.state_dict())


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda raw: raw[:3], "cut off after the first bytes"),
        (lambda raw: raw[:100] + bytes(3000) + raw[3100:], "damaged"),
        (lambda raw: raw.replace(b"PK\1\2", b"PK\1\3"), "damaged"),
        (lambda raw: saved({"a": torch.zeros(999)}, **OLD)[:-999], "cut off or damaged"),
        (lambda raw: pickle.dumps(torch.nn.Linear(2, 2))[:300], "cut off or damaged"),
    ],
)
def test_what_is_cut_or_damaged_is_said(make, what, tmp_path):
    path = tmp_path / "gan.pt"
    save(path, *small())
    path.write_bytes(make(path.read_bytes()))
    with pytest.raises(ValueError, match=f"which is {what}$"):
        load(path, *small())


def test_a_path_that_is_no_file_is_refused(tmp_path):
    gan, batches = small()
    for use in (save, load):
        with pytest.raises(ValueError, match=r"path must name a file, got the folder .*: name a file in it, .*gan\.pt"):
            use(tmp_path, gan, batches)
        with pytest.raises(TypeError, match=r"path must name a file, got GAN: it comes first"):
            use(gan, tmp_path / "gan.pt")


def test_a_file_that_cannot_be_opened_says_so_itself(tmp_path, monkeypatch):
    save(tmp_path / "gan.pt", *small())

    def no_permission(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", no_permission)
    with pytest.raises(PermissionError, match="Permission denied"):
        load(tmp_path / "gan.pt", *small())


# ---- weights alone


def test_weights_alone_are_drawn_from_under_other_settings(tmp_path, capsys):
    path = tmp_path / "gan.pt"
    gan, _ = trained(30, path)
    other = small(seed=7, lr=1e-4, d_steps=2, r1=0.5)[0]
    run(other, small()[1], 3)
    kept = {name: copy.deepcopy(other.state_dict()[name]) for name in ("opt_G", "opt_D", "random_state", "steps_done")}
    with pytest.raises(ValueError, match=r"To draw only, load\(path, model, weights_only=True\)"):
        load(path, other)
    load(path, other, weights_only=True)
    for name in ("G", "D", "averaged_G"):
        assert same(other.state_dict()[name], gan.state_dict()[name])
    assert all(same(other.state_dict()[name], state) for name, state in kept.items())
    for averaged in (True, False):
        assert torch.equal(other.sample(9, seed=1, averaged=averaged), gan.sample(9, seed=1, averaged=averaged))
    run(other, small()[1], 5)
    assert capsys.readouterr().out == ""


def test_a_checkpoint_of_a_gpu_is_drawn_from_on_a_cpu(tmp_path):
    path = tmp_path / "gan.pt"
    gan, _ = trained(5, path)
    state = torch.load(path)
    state["settings"]["device"], state["model"]["random_state"] = "cuda", torch.zeros(16, dtype=torch.uint8)
    torch.save(state, path)
    with pytest.raises(ValueError, match="device: saved 'cuda', now 'cpu'"):
        load(path, *small())
    other = small()[0]
    load(path, other, weights_only=True)
    assert torch.equal(other.sample(9, seed=1), gan.sample(9, seed=1))


@pytest.mark.parametrize(("of_file", "of_model"), [(None, 0.9), (0.9, None)])
def test_weights_alone_where_only_one_side_keeps_an_average(of_file, of_model, tmp_path, capsys):
    path = tmp_path / "gan.pt"
    gan, _ = trained(20, path, average=of_file)
    other = small(seed=7, average=of_model)[0]
    load(path, other, weights_only=True)
    expected = gan.sample(9, seed=1, averaged=False)  # never that of the first weights
    assert torch.equal(other.sample(9, seed=1), expected)
    said = "Note: the checkpoint holds an average of G's weights, and this model keeps none: it draws with G itself.\n"
    assert capsys.readouterr().out == ("" if of_file is None else said)


def test_weights_of_other_networks_are_refused(tmp_path):
    path = tmp_path / "gan.pt"
    save(path, *small())
    for other, what in ((toy()[0], "generator: saved"), (wider(), "discriminator: saved")):
        before = copy.deepcopy(other.state_dict())
        with pytest.raises(ValueError, match=what) as error:
            load(path, other, weights_only=True)
        assert "opt_G" not in str(error.value)
        assert same(before, other.state_dict())


def wider():
    G, D = models.mlp(3, 16, 2, batchnorm=True), models.mlp(2, 17, 1, dropout=0.3)
    return GAN(G, D, torch.optim.Adam(G.parameters()), torch.optim.Adam(D.parameters()), models.NormalLatent(3))


def test_minibatches_that_were_forgotten_are_asked_for(tmp_path):
    path = tmp_path / "gan.pt"
    save(path, *small())
    with pytest.raises(ValueError, match=r"The minibatches come third: load\(path, model, batches\)"):
        load(path, small()[0])

    class Stream:  # a place, and no settings
        state_dict = staticmethod(lambda: {"row": 3})

    save(path, small()[0], Stream())
    with pytest.raises(ValueError, match=r"batches must have a load_state_dict, .* NoneType: load\(path, model, bat"):
        load(path, small()[0])


def test_saving_that_fails_leaves_the_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "gan.pt"
    gan, batches = trained(10, path)

    def disk_full(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", disk_full)
    run(gan, batches, 20)
    with pytest.raises(OSError, match="No space left"):
        save(path, gan, batches)
    assert [file.name for file in tmp_path.iterdir()] == ["gan.pt"]
    other, stream = small()
    load(path, other, stream)
    assert other.steps_done == 10


# ---- what a saved run must agree with


def gan_with(generator=None, discriminator=None, opt_G=torch.optim.Adam, opt_D=torch.optim.Adam, latent=None, **rest):
    """A small GAN of which one argument may be another."""
    G, D = generator or models.mlp(3, 8, 2), discriminator or models.mlp(2, 8, 1)
    return GAN(G, D, opt_G(G.parameters()), opt_D(D.parameters()), latent or models.NormalLatent(3), **rest)


def other_optimizers():
    yield torch.optim.AdamW
    for name, value in torch.optim.Adam([torch.zeros(1)]).defaults.items():
        kinds = {bool: not value, tuple: (0.5, 0.9), float: 0.5, int: 1}
        yield partial(torch.optim.Adam, **{name: kinds.get(type(value), False)})


def other_networks(n_in, n_out):
    for change in ({"activation": torch.nn.Tanh}, {"batchnorm": True}, {"dropout": 0.1}, {"dtype": torch.float64}):
        yield models.mlp(n_in, 8, n_out, **change)
    yield models.mlp(n_in, 9, n_out)


#: other values than those of `gan_with` and of Minibatches(DATA) for each argument
DATA = torch.arange(300.0).reshape(150, 2)
ANOTHER = {
    "generator": list(other_networks(3, 2)),
    "discriminator": list(other_networks(2, 1)),
    "opt_G": list(other_optimizers()),
    "opt_D": list(other_optimizers()),
    "latent": [models.NormalLatent(4), models.NormalLatent(3, torch.float64), models.UniformLatent(3)],
    "loss": [name for name in LOSSES if name != "non-saturating"],
    **{"d_steps": [2], "r1": [0.1], "r1_every": [2], "average": [0.9], "seed": [1]},
}
ANOTHER_STREAM = {
    "tensors": [(DATA + 1,), (DATA.double(),), (DATA[:, :1],), (DATA[:140],), (DATA, DATA)],
    **{"batch_size": [64], "seed": [1]},
}


def vae_with(encoder=None, decoder=None, optimizer=torch.optim.Adam, latent_dim=3, **rest):
    encoder, decoder = encoder or models.mlp(2, 8, 6), decoder or models.mlp(3, 8, 2)
    return VAE(encoder, decoder, optimizer([*encoder.parameters(), *decoder.parameters()]), latent_dim, **rest)


def flow_with(velocity=None, optimizer=torch.optim.Adam, dim=2, **rest):
    velocity = velocity or TimeInput(models.mlp(18, 8, 2))
    return Flow(velocity, optimizer(velocity.parameters()), dim, **rest)


#: how each kind of model is built, and other values for each of its arguments
KINDS = {
    GAN: (gan_with, ANOTHER),
    VAE: (
        vae_with,
        {
            "encoder": list(other_networks(2, 6)),
            "decoder": list(other_networks(3, 2)),
            "optimizer": list(other_optimizers()),
            "likelihood": [Gaussian(), Gaussian(0.5)],
            **{"latent_dim": [2], "beta": [0.5, 0], "average": [0.9], "seed": [1]},
        },
    ),
    Flow: (
        flow_with,
        {
            "velocity": [TimeInput(net) for net in other_networks(18, 2)],
            "optimizer": list(other_optimizers()),
            **{"dim": [3], "average": [0.9], "seed": [1]},
        },
    ),
}


def check_refused(path, name, model, batches=None):
    """Whether the checkpoint is refused by a message about nothing but the settings of the argument ``name``."""
    message = ""
    try:
        load(path, model, batches)
    except ValueError as error:
        message = str(error)
    told = [line for line in message.splitlines() if ": saved " in line]
    assert told, f"nobody compares {name}: record it in settings. {message}"
    assert all(re.match(rf"  {name}(\..*)?: saved .+, now .+", line) for line in told), message


def check_argument(kind, argument, path, prepare=lambda model: model):
    build, another = KINDS[kind]
    what = f"{kind.__name__} takes {argument}"
    assert argument in another, f"{what}: record it in its settings, and give other values in KINDS"
    save(path, prepare(build()))
    load(path, prepare(build()))
    for value in another[argument]:
        check_refused(path, argument, prepare(build(**{argument: value})))


@pytest.mark.parametrize(
    ("kind", "argument"), [(kind, name) for kind in KINDS for name in inspect.signature(kind).parameters]
)
def test_each_argument_of_a_model_is_a_setting(kind, argument, tmp_path):
    check_argument(kind, argument, tmp_path / "model.pt")

    def forget(model):
        model.settings = {name: v for name, v in model.settings.items() if name.partition(".")[0] != argument}
        return model

    with pytest.raises(AssertionError, match=f"nobody compares {argument}: record it in settings"):
        check_argument(kind, argument, tmp_path / "forgotten.pt", forget)


def test_another_sigma_is_another_likelihood(tmp_path):
    path = tmp_path / "vae.pt"
    save(path, vae_with(likelihood=Gaussian(0.5)))
    load(path, vae_with(likelihood=Gaussian(0.5)))
    for other in (Gaussian(0.3), Bernoulli()):
        check_refused(path, "likelihood", vae_with(likelihood=other))


@pytest.mark.parametrize("build", [vae_with, flow_with])
def test_weights_alone_of_other_models_are_drawn_from_too(build, tmp_path):
    path, model = tmp_path / "model.pt", build(average=0.9)
    model.step(iter([(DATA[:20] / 40 - 0.2,)]))
    save(path, model)
    other = build(average=0.9, seed=5, optimizer=torch.optim.AdamW)
    load(path, other, weights_only=True)
    assert torch.equal(other.sample(5, seed=1), model.sample(5, seed=1))
    assert other.steps_done == 0


@pytest.mark.parametrize("argument", inspect.signature(Minibatches).parameters)
def test_each_argument_of_minibatches_is_a_setting(argument, tmp_path):
    assert argument in ANOTHER_STREAM, f"Minibatches takes {argument}: record it in settings, and give other values"
    path, gan = tmp_path / "gan.pt", gan_with()
    save(path, gan, Minibatches(DATA))
    load(path, gan, Minibatches(DATA))
    for value in ANOTHER_STREAM[argument]:
        stream = Minibatches(*value) if argument == "tensors" else Minibatches(DATA, **{argument: value})
        check_refused(path, "batches.data" if argument == "tensors" else f"batches.{argument}", gan, stream)


@pytest.mark.parametrize("kind", [models.NormalLatent, models.UniformLatent])
def test_each_field_of_a_latent_is_a_setting(kind, tmp_path):
    others, path = {"latent_dim": 4, "dtype": torch.float64, "copies": 2}, tmp_path / "gan.pt"
    save(path, gan_with(latent=kind(3)))
    for field in dataclasses.fields(kind):
        check_refused(path, "latent", gan_with(latent=kind(**{"latent_dim": 3, field.name: others[field.name]})))


def test_every_setting_is_compared_and_the_networks_alone_for_weights(tmp_path):
    path, gan, batches = tmp_path / "gan.pt", gan_with(), Minibatches(DATA)
    save(path, gan, batches)
    state = torch.load(path)
    plain = {name for name in gan.settings if not name.startswith("opt_")}
    assert plain == inspect.signature(GAN).parameters.keys() - {"opt_G", "opt_D"} | {"device"}
    for kind, (build, _) in KINDS.items():
        found = {name.partition(".")[0] for name in build().settings}
        assert found == inspect.signature(kind).parameters.keys() | {"device"}
    assert gan.settings["device"] == "cpu"
    for name in state["settings"]:
        torch.save(state | {"settings": state["settings"] | {name: "another"}}, path)
        check_refused(path, name, gan, batches)
        if name in ("generator", "discriminator"):
            with pytest.raises(ValueError, match=f"{name}: saved 'another'"):
                load(path, gan, weights_only=True)
        else:
            load(path, gan, weights_only=True)


def build(latent=None, **group):
    G, D = models.mlp(3, 16, 2, seed=0), models.mlp(2, 16, 1, seed=1)
    opt_G = torch.optim.Adam([{"params": G[0].parameters()}, {"params": G[2:].parameters(), **group}], lr=1e-3)
    return GAN(G, D, opt_G, torch.optim.Adam(D.parameters(), lr=1e-3), latent or models.NormalLatent(3))


class Latent:
    """One whose repr says nothing of what it draws."""

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, n, rng):
        return self.scale * torch.randn(n, 3, generator=rng)


def test_settings_of_one_parameter_group_are_settings(tmp_path):
    path = tmp_path / "gan.pt"
    save(path, build(lr=2e-3))
    load(path, build(lr=2e-3))
    with pytest.raises(ValueError, match=r"\n  opt_G.group 1.lr: saved 0.002, now None\n  To draw"):
        load(path, build())
    with pytest.raises(ValueError, match=r"opt_G.group 1.betas: saved None, now \(0.5, 0.9\)"):
        load(path, build(lr=2e-3, betas=(0.5, 0.9)))


def test_a_learning_rate_that_a_schedule_has_lowered_goes_on(tmp_path):
    path, gan, again = tmp_path / "gan.pt", build(), build()
    gan.opt_G.param_groups[1]["lr"] = 1e-4
    save(path, gan)
    load(path, again)
    assert again.opt_G.param_groups[1]["lr"] == 1e-4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Latent(1.0), Latent(2.0)),
        (lambda n, rng: torch.randn(n, 3, generator=rng), lambda n, rng: torch.rand(n, 3, generator=rng)),
    ],
)
def test_another_latent_of_the_same_name_is_another_setting(one, other, tmp_path):
    path = tmp_path / "gan.pt"
    save(path, build(one))
    load(path, build(one))
    with pytest.raises(ValueError, match=r"\n  latent: saved '.*, draws \(2, 3\): .*, now '.*, draws \(2, 3\): "):
        load(path, build(other))


def test_a_checkpoint_older_than_what_the_latent_draws_is_loaded(tmp_path):
    path = tmp_path / "gan.pt"
    gan, batches = trained(3)
    gan.settings["latent"] = gan.settings["latent"].partition(", draws ")[0]
    save(path, gan, batches)
    other, stream = small()
    load(path, other, stream)
    assert other.steps_done == 3
    other.settings["latent"] = "UniformLatent(latent_dim=3), draws (2, 3): 0.000"
    with pytest.raises(ValueError, match="latent: saved"):
        load(path, other, stream)


def test_trying_a_latent_spends_no_random_number_and_moves_no_state():
    class Counts(Latent):
        calls = 0

        def __call__(self, n, rng):
            self.calls += 1
            return super().__call__(n, rng) + torch.randn(1)  # of the global generator

    latent = Counts(1.0)
    torch.manual_seed(3)
    expected = torch.randn(3)
    torch.manual_seed(3)
    assert re.search(r"Counts object, draws \(2, 3\): (-?\d\.\d{3} ?){4}$", build(latent).settings["latent"])
    assert torch.equal(torch.randn(3), expected)
    assert latent.calls == 0


@pytest.mark.parametrize("device", ["mps", "xpu:0"])
def test_a_device_whose_random_state_cannot_be_kept_is_refused(device):
    with pytest.raises(ValueError, match=rf"generator must lie on the CPU or .*, got the device {device}, .*G\.cpu"):
        gan_module._check_device(torch.device(device))


def test_a_load_that_fails_half_way_leaves_the_model_as_it_was(tmp_path):
    path = tmp_path / "gan.pt"
    trained(5, path)
    other, stream = small()
    other.opt_D.add_param_group({"params": [torch.zeros(1, requires_grad=True)]})
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(ValueError, match="model must be built as the one saved in .*parameter groups"):
        load(path, other, stream)
    assert same(before, other.state_dict())


def test_what_could_not_be_read_again_is_not_saved(tmp_path):
    gan, batches = small(lr=np.float64(1e-3))
    numbers = "settings.opt_G.lr of type float64, settings.opt_D.lr of type float64, model.opt_G.param_groups"
    kept = {tmp_path / "gan.pt": b"the last", tmp_path / "gan.pt.previous": b"the one before"}
    for path, content in kept.items():
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"settings must be plain Python values, got {numbers}.*needs float"):
        save(tmp_path / "gan.pt", gan, batches)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, value):
    gan, batches = trained(3)
    with torch.no_grad():
        gan.D[0].weight[0, 0] = value
    with pytest.raises(ValueError, match="model must have finite weights to be saved, got NaN or inf at step 3"):
        save(tmp_path / "gan.pt", gan, batches)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_while_the_file_is_tried_is_not_taken_for_a_wrong_setting(tmp_path, monkeypatch):
    def broken(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(checkpoints, "_read", broken)
    with pytest.raises(OSError, match="Input/output error"):
        save(tmp_path / "gan.pt", *small())
    assert list(tmp_path.iterdir()) == []


def test_a_path_in_hangul_works(tmp_path):
    path = tmp_path / "사용자" / "생성자.pt"
    trained(3, path)
    other, stream = small()
    load(path, other, stream)
    assert other.steps_done == 3
