"""The vocoder's losses and gradients against a plain computation of all of it from the published definitions.

Nothing of the package is used but the crops: HiFT (Li et al., 2023) and its source (Wang et al., 2019), periods as in
HiFi-GAN (Kong et al., 2020), spectra as in UnivNet (Jang et al., 2021), hinge losses (Lim and Ye, 2017), mels and
relative magnitudes as in Parallel WaveGAN (Yamamoto et al., 2020).
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from test_vocoder import measured, small_task
from torch.nn import functional

from parlando.train.shared.adversarial import DISCRIMINATORS, GENERATOR

__all__ = ["measured"]
RATE, FRAME, RATES, KERNELS, FFT, HOP, SLOPE = 24_000, 480, (8, 5, 3), (16, 11, 7), 16, 4, 0.1
PERIODS, SPECTRA = (2, 3, 5, 7, 11), ((512, 128), (1024, 256), (2048, 512))
MELS = ((512, 128, 60), (1024, 240, 100), (2048, 480, 140))


class Net:
    """A module's parameters, and layers computed with them."""

    def __init__(self, module):
        self.own = dict(module.named_parameters())

    def weight(self, name):
        if f"{name}.weight" in self.own:
            return self.own[f"{name}.weight"]
        length, direction = (self.own[f"{name}.parametrizations.weight.original{i}"] for i in range(2))
        return length * direction / direction.flatten(1).norm(dim=1).view_as(length)

    def conv(self, name, x, **options):
        weight = self.weight(name)
        layer = {3: functional.conv1d, 4: functional.conv2d}[weight.ndim]
        return layer(x, weight, self.own[f"{name}.bias"], **options)


def pitch(hift, mel):
    for layer in range(0, 10, 2):
        mel = functional.elu(hift.conv(f"f0_predictor.condnet.{layer}", mel, padding=1))
    return (
        (mel.transpose(1, 2) @ hift.own["f0_predictor.classifier.weight"].T)[..., 0]
        .add(hift.own["f0_predictor.classifier.bias"])
        .abs()
    )


def source(hift, hertz, noise):
    """Down to frames and up again by straight lines, as published."""
    fine = hertz.repeat_interleave(FRAME, 1)[:, None]
    turns = (fine * torch.arange(1, 10)[:, None] / RATE) % 1
    slow = functional.interpolate(turns, scale_factor=1 / FRAME, mode="linear").cumsum(-1)
    phase = functional.interpolate(2 * math.pi * slow * FRAME, scale_factor=FRAME, mode="linear")
    voiced = (fine > 10).double()
    waves = 0.1 * phase.sin() * voiced + (0.003 * voiced + 0.1 / 3 * (1 - voiced)) * noise.transpose(1, 2)
    mixed = waves.transpose(1, 2) @ hift.own["m_source.l_linear.weight"].T + hift.own["m_source.l_linear.bias"]
    return mixed.tanh()[..., 0]


def snake(hift, name, x):
    alpha = hift.own[f"{name}.alpha"][:, None]
    return x + (alpha * x).sin() ** 2 / (alpha + 1e-9)


def block(hift, name, x):
    """One dilation of 1, kernels of 3: the sizes of the test."""
    inner = hift.conv(f"{name}.convs1.0", snake(hift, f"{name}.activations1.0", x), padding=1)
    return x + hift.conv(f"{name}.convs2.0", snake(hift, f"{name}.activations2.0", inner), padding=1)


def vocoded(hift, mel, excitation):
    window = torch.hann_window(FFT).double()
    spectrum = torch.stft(excitation, FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)
    heard = torch.cat([spectrum.real, spectrum.imag], 1)
    x = hift.conv("conv_pre", mel, padding=3)
    for stage, (rate, kernel) in enumerate(zip(RATES, KERNELS, strict=True)):
        name, x = f"ups.{stage}", functional.leaky_relu(x, SLOPE)
        x = functional.conv_transpose1d(x, hift.weight(name), hift.own[f"{name}.bias"], rate, (kernel - rate) // 2)
        if stage == 2:
            x = functional.pad(x, (1, 0), mode="reflect")
        stride = math.prod(RATES[stage + 1 :])
        down = hift.conv(f"source_downs.{stage}", heard, stride=stride, padding=stride // 2)
        x = block(hift, f"resblocks.{stage}", x + block(hift, f"source_resblocks.{stage}", down))
    log, angle = hift.conv("conv_post", functional.leaky_relu(x, 0.01), padding=3).chunk(2, 1)
    made = torch.polar(log.exp().clamp(max=100), angle.sin())
    return torch.istft(made, FFT, HOP, window=window).clamp(-0.99, 0.99)


def filters(fft, bands):
    """Slaney's triangles of unit area."""

    def mel_of(hertz):
        return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000, 6.4)

    def hertz_of(mel):
        return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    top = mel_of(RATE / 2)
    edges = [hertz_of(top * place / (bands + 1)) for place in range(bands + 2)]
    table = torch.zeros(bands, fft // 2 + 1, dtype=torch.float64)
    for band, (low, middle, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for place in range(fft // 2 + 1):
            hertz = place * RATE / fft
            height = min((hertz - low) / (middle - low), (high - hertz) / (high - middle))
            table[band, place] = max(0.0, height) * 2 / (high - low)
    return table


def log_mel(wave, fft, hop, bands):
    reach = fft - hop
    padded = functional.pad(wave, (reach // 2, reach - reach // 2))
    spectrum = torch.stft(padded, fft, hop, window=torch.hann_window(fft).double(), center=False, return_complex=True)
    return (filters(fft, bands) @ spectrum.abs()).clamp(min=1e-4).log()


def spectral_loss(made, real):
    losses = []
    for sizes in MELS:
        a, b = log_mel(made, *sizes), log_mel(real, *sizes)
        losses.append((a - b).abs().mean() + 0.5 * (a.exp() - b.exp()).norm() / b.exp().norm())
    return sum(losses) / len(losses)


def judged(net, wave):
    """Of every discriminator its score, and what every layer found."""
    found = []
    for number, (fft, hop) in enumerate(SPECTRA):
        spectrum = torch.stft(
            wave,
            fft,
            hop,
            window=torch.hann_window(fft).double(),
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        x = torch.stack([spectrum.real, spectrum.imag], 1)
        x = x * (spectrum.real**2 + spectrum.imag**2 + 1e-6)[:, None] ** -0.25
        steps = [((4, 1), (3, 1), (1, 1)), *(((2, 1), (2, wide), (1, wide)) for wide in (1, 2, 4))]
        found.append(stacked(net, number, x, steps, (1, 1)))
    for number, period in enumerate(PERIODS, len(SPECTRA)):
        folded = functional.pad(wave[:, None], (0, -wave.shape[1] % period), mode="reflect")
        x = folded.view(len(wave), 1, -1, period)
        found.append(stacked(net, number, x, [((3, 1), (2, 0), (1, 1))] * 4, (1, 0)))
    return found


def stacked(net, number, x, steps, last):
    layers, name = [], f"parts.{number}.stack"
    for place, (stride, padding, dilation) in enumerate(steps):
        x = functional.leaky_relu(
            net.conv(f"{name}.layers.{place}", x, stride=stride, padding=padding, dilation=dilation), SLOPE
        )
        layers.append(x)
    return net.conv(f"{name}.score", x, padding=last), layers


def hinge(real, made):
    losses = [
        functional.relu(1 - r).mean() + functional.relu(1 + m).mean() for (r, _), (m, _) in zip(real, made, strict=True)
    ]
    return sum(losses) / len(losses)


def deceiving(real, made):
    adversarial = sum(functional.relu(1 - score).mean() for score, _ in made) / len(made)
    layers = [pair for (_, a), (_, b) in zip(real, made, strict=True) for pair in zip(a, b, strict=True)]
    matching = sum((m - r).abs().mean() / r.abs().mean() for r, m in layers) / len(layers)
    return adversarial, matching


@pytest.fixture
def both(measured):
    """What our task minimises, by learner, and what is computed by hand, of the same crops and noise."""
    task = small_task(measured, predicted_after=1.0, adversarial_weight=0.7, matching_weight=0.3, pitch_weight=2.0)
    # Weights that were trained a little: fresh ones make next to nothing, and some gradients of that are zero.
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in task.hift.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    # In double precision nothing lies so near a bend of a layer that rounding decides on which side.
    for module in task.modules.values():
        module.double()
    task.discriminators.register_forward_pre_hook(lambda module, waves: tuple(wave.double() for wave in waves))
    batch = doubled(task.batch(0))
    torch.manual_seed(3)
    ours = {}
    for objective in task.objectives(batch, 0.9):
        learner = {GENERATOR: task.hift, DISCRIMINATORS: task.discriminators}[objective.learner]
        ours[objective.learner] = objective, gradients(objective.loss, learner)
    task.discriminators.requires_grad_(True)
    torch.manual_seed(3)
    crops = task._batch(batch.own, varied=True)
    noise = task._noise(0, crops.mel.shape[2])
    more = task._batch(batch.pitch, varied=True)
    return task, ours, by_hand(task, crops, noise, more)


def doubled(batch):
    """Crops in double precision."""
    parts = {name: part for name, part in vars(batch).items() if part is not None}
    return replace(
        batch, **{name: replace(part, **{n: t.double() for n, t in vars(part).items()}) for name, part in parts.items()}
    )


def by_hand(task, crops, noise, more):
    hift, net = Net(task.hift), Net(task.discriminators)
    made = vocoded(hift, crops.mel, source(hift, crops.hertz, noise))
    spectral = spectral_loss(made, crops.wave)
    errors = [(pitch(hift, part.mel) - part.hertz).abs().mean() / 100 for part in (crops, more)]
    f0 = sum(errors) / 2
    found = hinge(judged(net, crops.wave), judged(net, made.detach()))
    adversarial, matching = deceiving([(s.detach(), [x.detach() for x in xs]) for s, xs in judged(net, crops.wave)],
                                      judged(net, made))  # fmt: skip
    logged = {"spectral": spectral, "pitch": f0, "adversarial": adversarial, "matching": matching}
    loss = spectral + 2.0 * f0 + 0.7 * adversarial + 0.3 * matching
    return {
        DISCRIMINATORS: (found, {"discriminator": found}, gradients(found, task.discriminators)),
        GENERATOR: (loss, logged, gradients(loss, task.hift)),
    }


def gradients(loss, module):
    own = dict(module.named_parameters())
    return dict(zip(own, torch.autograd.grad(loss, list(own.values()), retain_graph=True), strict=True))


def test_losses_and_gradients_are_those_computed_by_hand(both):
    _, ours, plain = both
    assert list(ours) == [DISCRIMINATORS, GENERATOR]
    for learner, (objective, found) in ours.items():
        loss, logged, expected = plain[learner]
        torch.testing.assert_close(objective.loss.double(), loss, rtol=1e-4, atol=1e-5)
        assert objective.logged.keys() == logged.keys()
        for name, value in logged.items():
            torch.testing.assert_close(objective.logged[name].double(), value, rtol=1e-4, atol=1e-5, msg=name)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            size = float(gradient.abs().max())
            # With no score beyond the hinges, a step that moves all scores alike gains nothing.
            assert (size > 0) != name.endswith("score.bias"), name
            assert float((found[name] - gradient).abs().max()) < 1e-4 * max(size, 1e-3), (name, size)
