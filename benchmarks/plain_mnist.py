"""The MNIST study's algorithms in their plain form: what the fast paths are timed against.

Image by image through PIL, the default memory layout, every mechanism in every pass: an honest
reading of the published procedure, with the same nets, losses and optimisers.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.transforms as T
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from cgnlib.data import categories, textures
from cgnlib.data.digits import Digits
from cgnlib.experiments.recipes import CGNRecipe
from cgnlib.nets import mnist as nets
from cgnlib.training import losses

PHOTOGRAPH = 450  # pixels of a side, about those of the 20 DTD textures


class Wildlife(Dataset):
    """W-MNIST, training association: two textures resized, padded and cropped at every access."""

    def __init__(self, digits: Digits):
        self.digits = digits
        self.photographs = [
            [Image.fromarray(t.numpy()).resize((PHOTOGRAPH, PHOTOGRAPH)) for t in kind]
            for kind in textures.procedural()
        ]
        self.crop = T.Compose(
            [
                T.Resize((150, 150), T.InterpolationMode.NEAREST),
                T.Pad(3, padding_mode="reflect"),
                T.RandomCrop(32),
                T.ToTensor(),
                T.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.digits.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        y = int(self.digits.labels[i])
        digit = self.digits.images[i].float()[None, None] / 255
        mask = (F.interpolate(digit, (32, 32))[0] > 0.1).float()
        fg, bg = (self.crop(of[y]) for of in self.photographs)
        return mask * fg + (1 - mask) * bg, y


def mechanism(z: int, ngf: int, of: str) -> nn.Sequential:
    """The shape mechanism or a texture mechanism, layer by layer with the published names."""
    grid = [nn.Linear(z, 2 * ngf * 64), nn.Unflatten(1, (2 * ngf, 8, 8))]

    def conv(c_in: int, c_out: int, bias: bool = False) -> list[nn.Module]:
        return [nn.Conv2d(c_in, c_out, 3, padding=1, bias=bias), nn.BatchNorm2d(c_out)]

    if of == "shape":
        first = [nn.InstanceNorm2d(2 * ngf), nn.Upsample(scale_factor=2), *conv(2 * ngf, ngf)]
        second = [nn.InstanceNorm2d(ngf), nn.Upsample(scale_factor=2), *conv(ngf, 1)]
        relu = (nn.LeakyReLU(0.2) for _ in range(2))
        return nn.Sequential(*grid, *first, next(relu), *second, next(relu), nn.InstanceNorm2d(1))
    first = [nn.Upsample(scale_factor=2), *conv(2 * ngf, 2 * ngf), nn.LeakyReLU(0.2)]
    second = [nn.Upsample(scale_factor=2), *conv(2 * ngf, ngf), nn.LeakyReLU(0.2)]
    return nn.Sequential(*grid, *first, *second, *conv(ngf, 3, bias=True), nn.Tanh())


class CGN(nn.Module):
    """All three mechanisms in every pass; a texture is tiled and cropped image by image."""

    def __init__(self, latent: int = 32, ngf: int = 32):
        super().__init__()
        self.latent = latent
        self.label_emb = nn.Embedding(10, 10)
        self.f_shape = mechanism(latent + 10, ngf, "shape")
        self.f_text1 = mechanism(latent + 10, ngf, "texture")
        self.f_text2 = mechanism(latent + 10, ngf, "texture")

    def forward(self, y: Tensor, counterfactual: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        if counterfactual:
            labels = [y, *(y[torch.randperm(len(y))] for _ in range(2))]
            u = [torch.randn(len(y), self.latent) for _ in range(3)]
        else:
            labels, u = [y] * 3, [torch.randn(len(y), self.latent)] * 3
        return self.made(u, labels)

    def made(self, u: list[Tensor], labels: list[Tensor], shuffled: bool = True):
        """(mask, fg, bg) of a latent and labels for each mechanism."""
        shape, fg, bg = (
            torch.cat([z, self.label_emb(c)], 1) for z, c in zip(u, labels, strict=True)
        )
        mask = self.f_shape(shape).clamp(1e-4, 0.9999).repeat(1, 3, 1, 1)
        fg, bg = self.f_text1(fg), self.f_text2(bg)
        return (mask, shuffle(fg), shuffle(bg)) if shuffled else (mask, fg, bg)


def shuffle(x: Tensor) -> Tensor:
    """Each texture tiled two by two, and a window cut from it at random."""
    tiled = x.repeat(1, 1, 2, 2)
    corners = torch.randint(0, 33, (len(x), 2)).tolist()
    return torch.stack(
        [t[:, a : a + 32, b : b + 32] for t, (a, b) in zip(tiled, corners, strict=True)]
    )


class LinearDiscriminator(nn.Module):
    def __init__(self, ndf: int):
        super().__init__()
        self.label_emb = nn.Embedding(10, 10)
        self.model = nn.Sequential(
            nn.Linear(3082, ndf), nn.LeakyReLU(0.2),
            nn.Linear(ndf, ndf), nn.Dropout(0.4), nn.LeakyReLU(0.2),
            nn.Linear(ndf, ndf), nn.Dropout(0.4), nn.LeakyReLU(0.2),
            nn.Linear(ndf, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.model(torch.cat([x.flatten(1), self.label_emb(y)], 1)).squeeze(1)


class ConvDiscriminator(nn.Module):
    def __init__(self, ndf: int):
        super().__init__()
        self.label_emb = nn.Embedding(10, 1)
        sizes = [(4, ndf, 3, 1), (ndf, 2 * ndf, 3, 1), (2 * ndf, 4 * ndf, 4, 2)]
        layers: list[nn.Module] = []
        for c_in, c_out, kernel, stride in (*sizes, (4 * ndf, 4 * ndf, 4, 2)):
            layers.append(nn.Conv2d(c_in, c_out, kernel, stride, bias=False))
            layers += [nn.BatchNorm2d(c_out), nn.LeakyReLU(0.2)]
        layers += [nn.AvgPool2d(3), nn.Conv2d(4 * ndf, 1, 1, bias=False)]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        plane = self.label_emb(y)[:, :, None, None].expand(-1, -1, 32, 32)
        return self.model(torch.cat([x, plane], 1)).flatten()


class Perceptual(nn.Module):
    """Gram distances over VGG-16's layers, with random weights, in the default layout."""

    def __init__(self, layers: tuple[int, ...], factors: tuple[float, ...]):
        from torchvision.models import vgg16

        super().__init__()
        net = vgg16(weights=None).features[: max(layers) + 1]
        self.features = net.eval().requires_grad_(False)
        self.factors = dict(zip(layers, factors, strict=True))
        for layer in self.features:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        total = torch.zeros(())
        for i, layer in enumerate(self.features):
            x, target = layer(x), layer(target)
            if i in self.factors:
                distance = (losses.gram(x) - losses.gram(target)).abs().mean()
                total = total + self.factors[i] * distance
        return total


def cgn_steps(data: Dataset, recipe: CGNRecipe, workers: int) -> Iterator[None]:
    """CGN training, a step at a time, for ever."""
    net, conv = CGN(recipe.latent, recipe.ngf), recipe.discriminator == "conv"
    critic = (ConvDiscriminator if conv else LinearDiscriminator)(recipe.ndf)
    perceptual = Perceptual(recipe.layers, recipe.factors)
    nets.init_weights(net, recipe.init, recipe.gain, torch.Generator().manual_seed(0))
    opt_g, opt_d = (
        torch.optim.Adam(part.parameters(), lr, recipe.betas)
        for part, lr in ((net, recipe.lr), (critic, recipe.lr_critic))
    )
    while True:
        for x, y in DataLoader(data, recipe.batch, shuffle=True, num_workers=workers):
            y_gen = torch.randint(0, 10, y.shape)
            mask, fg, bg = net(y_gen)
            x_gen = mask * fg + (1 - mask) * bg
            loss = losses.generator_mse(critic(x_gen, y_gen))
            loss = loss + recipe.mask * losses.mask_entropy(mask) + perceptual(x_gen, x)
            opt_g.zero_grad()
            loss.backward()
            opt_g.step()
            loss = losses.discriminator_mse(critic(x, y), critic(x_gen.detach(), y_gen))
            opt_d.zero_grad()
            loss.backward()
            opt_d.step()
            yield


@torch.no_grad()
def counterfactuals(net: CGN, per_shape: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of 100 counterfactuals as floats: a pass for the mask, a pass for each texture pair,
    each through all three mechanisms."""
    net.eval()
    while True:
        y = torch.randint(0, 10, (100,))
        mask, _, _ = net(y)
        for _ in range(per_shape):
            _, fg, bg = net(y, counterfactual=True)
            yield mask * fg + (1 - mask) * bg, y


class CNN(nn.Module):
    """The classifier in the order of the published layers."""

    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.BatchNorm2d(3),
            nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(inplace=True),
            nn.AvgPool2d(7), nn.Flatten(),
        )  # fmt: skip
        self.cls = nn.Sequential(nn.Linear(64, 10), nn.LogSoftmax(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.cls(self.model(x))


def classifier_steps(x: Tensor, y: Tensor, batch: int = 64) -> Iterator[None]:
    """Classifier training, a step at a time, for ever.  x: [N, 3, 32, 32] floats."""
    net = CNN()
    optimiser = torch.optim.Adadelta(net.parameters(), lr=1.0)
    while True:
        for images, labels in DataLoader(TensorDataset(x, y), batch, shuffle=True):
            optimiser.zero_grad()
            scores = net(images)
            F.nll_loss(scores, labels).backward()
            optimiser.step()
            scores.argmax(1).eq(labels).sum().item()
            yield


def sixteen(probabilities: np.ndarray) -> list[str]:
    """The category of each answer: class by class, category by category."""
    answers = []
    for p in probabilities:
        means = {
            category: np.mean([p[i] for i in classes])
            for category, classes in categories.members("sixteen").items()
        }
        answers.append(max(means, key=means.get))
    return answers


def nine(probabilities: np.ndarray) -> list[int]:
    """The class of ImageNet-9 of each answer's best class, -1 for none."""
    answers = []
    for p in probabilities:
        best, found = max(range(len(p)), key=p.__getitem__), -1
        for k, classes in enumerate(categories.members("in9").values()):
            if best in classes:
                found = k
        answers.append(found)
    return answers
