"""PINA, as its tutorial on Poisson's equation in two dimensions uses it: a network of 2 x 10, Adam at 0.006.

The tutorial takes 25 x 25 points inside and 25 on each side, softplus, a weight decay of 1e-8 and 1000 epochs. Here it
goes on for as long as the budget lasts, and the networks have an output for each unknown.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from pina import Condition, LabelTensor, Trainer
from pina.domain import CartesianDomain
from pina.equation import SystemEquation
from pina.model import FeedForward
from pina.operator import grad
from pina.optim import TorchOptimizer
from pina.problem import SpatialProblem
from pina.solver import PINN

from peers.stated import Judge, NotStated, Stated
from pinnsolve.compiler.terms import Term
from pinnsolve.geometry.sampling import Points

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")
INTERIOR, SIDE, LAYERS, RATE, DECAY = 625, 25, [10, 10], 0.006, 1e-8
JUDGEMENTS = 12  # in a budget


class Watch(Callback):
    """Judges at even intervals of time, and ends the training when its time is over."""

    def __init__(self, judge: Judge, values, budget: float):
        super().__init__()
        self.judge, self.values, self.budget, self.next = judge, values, budget, budget / JUDGEMENTS / 4

    def on_train_epoch_end(self, trainer, solver):
        if self.judge.seconds >= self.next:
            self.judge(self.values)
            self.next = self.judge.seconds + self.budget / JUDGEMENTS
        if self.judge.seconds >= self.budget:
            trainer.should_stop = True


def _derivatives(stated: Stated, inputs, outputs):
    """What gives a derivative (N,) of an unknown by PINA's own operators."""
    coordinates, unknowns = stated.compiled.coordinates, stated.compiled.unknowns

    def derivative(feature):
        value, name = outputs.extract([feature.unknown]), feature.unknown
        for coordinate, order in zip(coordinates, feature.alpha, strict=True):
            for _ in range(order):
                value = grad(value, inputs, components=[name], d=[coordinate])
                (name,) = value.labels
        return value.as_subclass(torch.Tensor)[:, 0]

    assert set(outputs.labels) >= set(unknowns)
    return derivative


def _condition(stated: Stated, term: Term, points: Points, model) -> Condition:
    """A term at its points: one equation for each of its residuals."""
    coordinates = list(stated.compiled.coordinates)

    def one(number: int):
        def equation(inputs, outputs):
            sides = [_derivatives(stated, inputs, outputs)]
            if points.x.shape[0] > 1:
                there = LabelTensor(points.x[1].float(), coordinates).requires_grad_()
                other = model(there)
                other.labels = list(stated.compiled.unknowns)
                sides.append(_derivatives(stated, there, other))
            plain = inputs.as_subclass(torch.Tensor)
            normals = None if points.normals is None else points.normals.to(plain)
            here = Points(plain[None], normals, {n: c.to(plain) for n, c in points.columns.items()})
            return stated.residuals(term, here, lambda feature: sides[feature.side](feature))[number][:, None]

        return equation

    several = SystemEquation([one(number) for number in range(len(term.residuals))])
    return Condition(input=LabelTensor(points.x[0].float(), coordinates), equation=several)


def solve(stated: Stated, budget: float, judge: Judge) -> str:
    """Train for `budget` seconds; what was done, in words."""
    points = stated.sampled(INTERIOR, SIDE)
    if any(len(p.x) > 2 for p in points.values()):
        raise NotStated("a condition ties more than two places together")
    coordinates, unknowns = list(stated.compiled.coordinates), list(stated.compiled.unknowns)
    torch.manual_seed(0)
    model = FeedForward(len(coordinates), len(unknowns), layers=LAYERS, func=torch.nn.Softplus)
    terms = (*stated.equations, *stated.conditions)
    box = {c: list(map(float, ends)) for c, ends in zip(coordinates, stated.compiled.intervals, strict=True)}
    parts = {
        "output_variables": unknowns,
        "spatial_domain": CartesianDomain(box),
        "domains": {},
        "conditions": {t.name: _condition(stated, t, points[t.name], model) for t in terms},
    }
    problem = type("StatedProblem", (SpatialProblem,), parts)()
    solver = PINN(problem, model, optimizer=TorchOptimizer(torch.optim.Adam, lr=RATE, weight_decay=DECAY))

    def values(places: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(places).float()).as_subclass(torch.Tensor).numpy().T

    watch = Watch(judge, values, budget)
    trainer = Trainer(
        solver=solver,
        max_epochs=1_000_000,
        accelerator="cpu",
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=False,
        enable_checkpointing=False,
        callbacks=[watch],
    )
    trainer.train()
    judge(values)
    return f"{trainer.current_epoch} epochs of Adam; {INTERIOR} points inside, {LAYERS}"
