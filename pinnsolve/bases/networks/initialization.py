"""Initial hidden parameters of network bases: Box, He and Glorot; and the numerical rank that they are judged by.

Input: the shape of a network and a seed. Output: slopes (W, w) and offsets (W,) per layer. The numbers are drawn on
the CPU in float64 from a generator of their own, so they depend on no device, type or other generator.

[Gulian] stands here and elsewhere for M. Gulian, Robust architectures, initialization, and training for deep neural
networks via the adaptive basis interpretation, a talk after Cyr, Gulian, Patel, Perego & Trask, Robust training and
initialization of deep neural networks: an adaptive basis viewpoint, MSML 2020, PMLR 107 (docs/method.md, References).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from pinnsolve.bases.networks.activations import Activation

Layers = list[tuple[Tensor, Tensor]]

IMAGE_POINTS, CORNERS = 512, 64  # random ones of the unit box, which stand for it when a plain inner layer is drawn
NAMES = {"box": "Box", "he": "He", "glorot": "Glorot"}


@dataclass(frozen=True)
class NetworkShape:
    """Layers of so much `width`, the first on `dimension` coordinates; `residual`: the others are added to it."""

    dimension: int
    width: int
    depth: int
    residual: bool


def initial_layers(initialization: str, function: Activation, shape: NetworkShape, scale: float, seed: int) -> Layers:
    """Slopes and offsets of each layer, the first on the unit box of the coordinates, float64 on the CPU.

    `scale` belongs to the first layer. With Box it is the maximum over the unit box of each row's argument
    y = k (x - p).n: with relu also that of each function, so 1 is [Gulian, eq. (13)]; with the others the slopes
    are proportional to it, so that a wide basis can be given steeper steps (tanh, softplus), narrower bumps (gaussian)
    or higher frequencies (sin). With He and Glorot it multiplies the slopes. The offsets of those two are zero.
    """
    generator = torch.Generator().manual_seed(seed)
    if initialization == "box":
        return (_box_residual if shape.residual else _box_plain)(function, shape, scale, generator)
    draw = {"he": he_slopes, "glorot": glorot_slopes}[initialization]
    layers = []
    for index in range(shape.depth):
        slopes = draw(shape.width, shape.dimension if index == 0 else shape.width, generator)
        layers.append((slopes * scale if index == 0 else slopes, torch.zeros(shape.width, dtype=torch.float64)))
    return layers


def box_layer(
    width: int,
    box: tuple[Tensor, Tensor],
    top: float,
    generator: torch.Generator,
    *,
    points: Tensor | None = None,
    symmetric: bool = False,
) -> tuple[Tensor, Tensor]:
    """One layer of the Box initialization for inputs in a box between two corners (w,): slopes (W, w), offsets (W,).

    Per row a point p uniform in the box, a random unit direction n, and the k > 0 for which the maximum over the box of
    y = k (x - p).n is `top`; so slopes k n and offsets -k p.n, and the cut plane y = 0 crosses the box at p. This is
    [Gulian, eq. (13)], whose step 4 prints the offset with the other sign, which contradicts the equation.

    `points` (W, w) are used for p if given. `symmetric`: the maximum of |y| is `top` instead.
    """
    low, high = box
    inputs = low.shape[0]
    p = torch.rand(width, inputs, generator=generator, dtype=torch.float64)
    p = low + (high - low) * p if points is None else points
    n = torch.randn(width, inputs, generator=generator, dtype=torch.float64)
    n = n / torch.linalg.vector_norm(n, dim=1, keepdim=True)
    ends = n * (low - p), n * (high - p)
    reach = torch.maximum(*ends).sum(1)
    if symmetric:
        reach = torch.maximum(reach, -torch.minimum(*ends).sum(1))
    k = top / reach.clamp_min(torch.finfo(torch.float64).eps)
    slopes = k[:, None] * n
    return slopes, -(slopes * p).sum(1)


def _cube(inputs: int, low: float, high: float) -> tuple[Tensor, Tensor]:
    return torch.full((inputs,), low, dtype=torch.float64), torch.full((inputs,), high, dtype=torch.float64)


def _box_plain(function: Activation, shape: NetworkShape, scale: float, generator: torch.Generator) -> Layers:
    """Box for s.T_L ... s.T_1.

    The box of an inner layer is the bounding box of what the layers before it make of the unit box (of a sample of its
    points), and p is the image of a random point of it. With the cube [0, 1]^W instead, of which that image is a small
    part, many cut planes miss the image: at width 32 the rank of a relu basis falls to 15 at depth 8 and to 1 at
    depth 32, here it stays.
    """
    width, depth = shape.width, shape.depth
    layers = [box_layer(width, _cube(shape.dimension, 0.0, 1.0), scale, generator)]
    if depth == 1:
        return layers
    images = torch.rand(IMAGE_POINTS + CORNERS, shape.dimension, generator=generator, dtype=torch.float64)
    images = torch.cat([images[:IMAGE_POINTS], images[IMAGE_POINTS:].round()])
    for _ in range(depth - 1):
        slopes, offsets = layers[-1]
        images = function.function.shapes(images @ slopes.T + offsets, (0,))[0]
        points = images[torch.randint(IMAGE_POINTS, (width,), generator=generator)]
        box = images.min(0).values, images.max(0).values
        layers.append(box_layer(width, box, 1.0, generator, points=points))
    return layers


def _box_residual(function: Activation, shape: NetworkShape, scale: float, generator: torch.Generator) -> Layers:
    """Box for (I + s.T_L) ... (I + s.T_2)(s.T_1), with growth bounded by a factor 1 + 1/L per layer.

    Each residual layer is scaled so that |s| <= m / L on the cube that holds its inputs, m the bound on their size.
    Outputs then stay below e times those of the first layer, and each layer is a small change of a basis of full rank.
    Of functions that are small only far to the left of zero, y climbs by 1 to its maximum, which is moved there.
    """
    width, depth = shape.width, shape.depth
    layers = [box_layer(width, _cube(shape.dimension, 0.0, 1.0), scale, generator)]
    low, high = function.bounds(scale)
    for _ in range(depth - 1):
        growth = high / depth
        top, symmetric = function.argument(growth)
        rise = top if top > 0 else 1.0
        slopes, offsets = box_layer(width, _cube(width, low, high), rise, generator, symmetric=symmetric)
        layers.append((slopes, offsets + (top - rise)))
        low, high = (low - growth if symmetric else low), high + growth
    return layers


def he_slopes(width: int, inputs: int, generator: torch.Generator) -> Tensor:
    """Normal with variance 2 / inputs (He et al., Delving deep into rectifiers, 2015, equation (10))."""
    return torch.randn(width, inputs, generator=generator, dtype=torch.float64) * sqrt(2 / inputs)


def glorot_slopes(width: int, inputs: int, generator: torch.Generator) -> Tensor:
    """Uniform with variance 2 / (inputs + width) (Glorot & Bengio, 2010, equation (16))."""
    bound = sqrt(6 / (inputs + width))
    return (2 * torch.rand(width, inputs, generator=generator, dtype=torch.float64) - 1) * bound


def numerical_rank(matrix: Tensor, relative_tolerance: float | None = None) -> int:
    """The number of singular values above `relative_tolerance` times the largest.

    Without one, max(rows, columns) times the machine epsilon, as in numpy's `matrix_rank`. 0 if a value is not finite.
    """
    if not bool(torch.isfinite(matrix).all()):
        return 0
    if relative_tolerance is None:
        relative_tolerance = max(matrix.shape) * torch.finfo(matrix.dtype).eps
    singular = torch.linalg.svdvals(matrix)
    return int((singular > relative_tolerance * singular.max()).sum())
