"""DeepXDE on PyTorch, as its own examples use it: a plain network, Adam at 1e-3, then L-BFGS.

The numbers of points, widths and steps are those of the example nearest to the problem, in the folder
`examples/pinn_forward` of its repository (version 1.15):

| problem | example | points inside and on the boundary | network | steps of Adam |
| --- | --- | --- | --- | --- |
| time and at most two coordinates | Burgers.py | 2540, 160 | 3 x 20 | 15000 |
| steady, at most three coordinates | Poisson_Lshape.py | 1200, 120 | 4 x 50 | 50000 |
| more | Beltrami_flow.py | 50000, 5000 | 4 x 50 | 30000 |

Steps end where four fifths of the budget are used; L-BFGS has the rest, with the options that come with it, but that it
says more often how far it has come.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

os.environ.setdefault("DDE_BACKEND", "pytorch")

import deepxde as dde
import numpy as np
import torch

from peers.stated import Judge, NotStated, Stated
from pinnsolve.compiler.terms import Term
from pinnsolve.geometry.sampling import Points

JUDGEMENTS = 12  # in a budget
SHARE_OF_ADAM = 0.8
REPORTED = 50  # steps of L-BFGS between two looks at the clock


@dataclass(frozen=True)
class Recipe:
    """The settings of an example."""

    interior: int
    boundary: int
    layers: tuple[int, ...]
    steps: int


def recipe_for(stated: Stated) -> Recipe:
    """That of the example nearest to the problem."""
    dimension, in_time = len(stated.compiled.coordinates), stated.compiled.time is not None
    if in_time and dimension <= 3:
        return Recipe(2540, 160, (20, 20, 20), 15_000)
    if not in_time and dimension <= 3:
        return Recipe(1200, 120, (50, 50, 50, 50), 50_000)
    return Recipe(50_000, 5000, (50, 50, 50, 50), 30_000)


class Watch(dde.callbacks.Callback):
    """Judges at even intervals of time, and ends the training when its time is over."""

    def __init__(self, judge: Judge, values, until: float, interval: float):
        super().__init__()
        self.judge, self.values, self.until, self.interval = judge, values, until, interval
        self.next = interval / 4

    def on_epoch_end(self):
        if self.judge.seconds >= self.next:
            self.judge(self.values)
            self.next = self.judge.seconds + self.interval
        if self.judge.seconds >= self.until:
            self.model.stop_training = True


def derivatives_of(stated: Stated, inputs, outputs):
    """What gives a derivative (N,) of an unknown by DeepXDE's own differentiation."""

    def derivative(feature):
        i = stated.compiled.unknowns.index(feature.unknown)
        value = outputs[:, i : i + 1]
        for axis, order in enumerate(feature.alpha):
            for _ in range(order):
                value = dde.grad.jacobian(value, inputs, i=0, j=axis)
        return value[:, 0]

    return derivative


def _placed(points: Points, inputs) -> Points:
    """The points as the network sees them, with normals and columns in its precision."""
    normals = None if points.normals is None else points.normals.to(inputs)
    return Points(inputs[None], normals, {name: column.to(inputs) for name, column in points.columns.items()})


def equations_of(stated: Stated):
    """The residuals of all equations, as a function for DeepXDE."""

    def pde(inputs, outputs):
        derivative = derivatives_of(stated, inputs, outputs)
        here = Points(inputs[None])
        return [r[:, None] for term in stated.equations for r in stated.residuals(term, here, derivative)]

    return pde


def conditions_of(stated: Stated, term: Term, points: Points, network) -> list:
    """A condition at its points: an operator at a set of points for each of its residuals."""
    places = points.x[0].numpy()

    def one(number: int):
        def operator(inputs, outputs, _):
            # DeepXDE hands over all of its points, those of this condition among them
            count = len(places)
            start = operator.start(inputs, count)
            here = inputs[start : start + count]
            sides = [derivatives_of(stated, inputs, outputs)]
            if points.x.shape[0] > 1:
                there = points.x[1].to(inputs).requires_grad_()
                sides.append(derivatives_of(stated, there, network(there)))

            def derivative(feature):
                value = sides[feature.side](feature)
                return value if feature.side else value[start : start + count]

            result = torch.zeros_like(inputs[:, :1])
            result[start : start + count, 0] = stated.residuals(term, _placed(points, here), derivative)[number]
            return result

        operator.start = _first_place(places)
        return dde.icbc.PointSetOperatorBC(places, 0.0, operator)

    return [one(number) for number in range(len(term.residuals))]


def _first_place(places: np.ndarray):
    """Where in all points those of a condition begin; found once."""
    known: dict[int, int] = {}

    def start(inputs, count: int) -> int:
        if len(inputs) not in known:
            all_points, first = inputs.detach().cpu().numpy(), places[:count].astype(np.float32)
            same = np.flatnonzero((all_points[: len(all_points) - count + 1] == first[0]).all(axis=1))
            known[len(inputs)] = next(int(k) for k in same if (all_points[k : k + count] == first).all())
        return known[len(inputs)]

    return start


def solve(stated: Stated, budget: float, judge: Judge) -> str:
    """Train for `budget` seconds; what was done, in words."""
    recipe = recipe_for(stated)
    points = stated.sampled(recipe.interior, recipe.boundary)
    if any(len(p.x) > 2 for p in points.values()):
        raise NotStated("a condition ties more than two places together")
    coordinates = stated.compiled.coordinates
    network = dde.nn.FNN([len(coordinates), *recipe.layers, len(stated.compiled.unknowns)], "tanh", "Glorot normal")
    lower, upper = np.array(stated.compiled.intervals, dtype=float).T
    box = dde.geometry.Hypercube(lower, upper) if len(lower) > 1 else dde.geometry.Interval(lower[0], upper[0])
    inside = np.concatenate([points[t.name].x[0].numpy() for t in stated.equations])
    conditions = [c for t in stated.conditions for c in conditions_of(stated, t, points[t.name], network)]
    data = dde.data.PDE(box, equations_of(stated), conditions, anchors=inside)
    model = dde.Model(data, network)

    def values(places: np.ndarray) -> np.ndarray:
        return model.predict(places.astype(np.float32)).T

    interval = budget / JUDGEMENTS
    model.compile("adam", lr=1e-3)
    watch = Watch(judge, values, SHARE_OF_ADAM * budget, interval)
    _, state = model.train(iterations=recipe.steps, display_every=1_000_000, callbacks=[watch], verbose=0)
    steps = state.step
    judge(values)
    if judge.seconds < budget:
        dde.optimizers.LBFGS_options["iter_per_step"] = REPORTED
        model.compile("L-BFGS")
        model.train(display_every=1_000_000, callbacks=[Watch(judge, values, budget, interval)], verbose=0)
        judge(values)
    return f"{steps} steps of Adam, {state.step - steps} of L-BFGS; {len(inside)} points inside, {recipe.layers}"
