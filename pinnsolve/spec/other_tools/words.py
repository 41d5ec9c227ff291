"""Keys and words of other tools, and what they are about here.

Input: a key as somebody writes it who knows DeepXDE, PINA, NeuralPDE, FEniCS, COMSOL, Matlab or Mathematica. Output:
the key of our files that it is about, or the setting and why there is none. Standard library only.
"""

from __future__ import annotations

import re

_ABOUT = {
    "coordinates": "domain domains geometry geom variables independent_variables ivs input_variables inputs input "
    "spatial_domain space_domain spatial intervals bounds range ranges box space mesh",
    "time": "time time_domain timedomain temporal_domain temporal time_interval tspan t_span time_span time_range",
    "unknowns": "unknown dependent_variables depvars dvs output_variables outputs dependent fields field variable "
    "solve_for trial_functions solution_variables function",
    "equations": "pde pdes ode odes equation eq eqs eqn eqns residual residuals governing_equation "
    "governing_equations system weak_form pde_system pdesystem physics",
    "boundary": "bc bcs boundary boundaries boundary_condition boundary_conditions dirichlet dirichlet_bc "
    "dirichletbc neumann neumann_bc neumannbc robin robin_bc constraints condition periodic",
    "initial": "ic ics initial initial_condition initial_conditions initial_value initial_values init",
    "parameters": "params constants consts coefficients coeffs parameter param",
    "exact": "analytic analytical analytic_solution analytical_solution exact_solution solution true_solution truth "
    "ground_truth",
    "guess": "initial_guess guesses",
}
EXAMPLES = {
    "coordinates": "coordinates: {t: [0, 1], x: [0, 1]}",
    "time": "coordinates: {t: [0, 1], x: [0, 1]}",
    "unknowns": "unknowns: [u, v]",
    "equations": 'equations: {heat: "D(u, t) = D(u, x, x)"}',
    "boundary": 'conditions: {left: {on: "x = 0", equation: "u = 0"}, rest: {on: boundary, equation: "Dn(u) = 0"}}',
    "initial": 'conditions: {start: {on: "t = 0", equation: "u = sin(pi*x)"}}',
    "parameters": "parameters: {nu: 0.1}",
    "exact": "exact: {u: sin(pi*x)}",
    "guess": "guess: {u: sin(pi*x)}",
}
ABOUT = {word: key for key, words in _ABOUT.items() for word in words.split()}

_TRAINING = (
    "nothing is trained by default: write `solve: {tolerance: 1e-6}`, and the solver goes on until its estimate of the "
    "error meets it"
)
_MOVING = "; networks that move are `solve: {method: lsgd, optimizer: {%s}}`"
_BY_PROBLEM = "the functions are chosen by the problem; for a network write `solve: {method: lsgd, basis: {%s}}`"
_POINTS = "points are chosen by the functions; to set their number write `solve: {collocation: {%s}}`"
_MESH = "there is no mesh to choose: cells are refined where the estimate asks for it, `solve: {tolerance: 1e-6}`"
_STEPS = "time is a coordinate, without steps to choose: write `coordinates: {t: [0, 1], x: [0, 1]}`"
_SETTINGS = {
    _TRAINING + _MOVING % "steps: {number}": "epochs epoch iterations iters maxiters max_iter steps n_iter max_iters",
    _TRAINING + _MOVING % "learning_rate: {number}": "lr learning_rate",
    _TRAINING + _MOVING % "name: {word}": "optimizer optimiser optim",
    _TRAINING: "loss loss_function criterion batch_size batch training train trainer callbacks scheduler patience "
    "display_every resampler",
    "the loss is the mean square of every term; write `solve: {term_weights: {TERM: 10}}` to weight one": "weights "
    "loss_weights term_weights lambda lambdas",
    _BY_PROBLEM % "kind: mlp, width: {number}": "neurons width hidden_size hidden hidden_dim units num_neurons nodes",
    _BY_PROBLEM % "kind: mlp, depth: {number}": "hidden_layers n_layers num_layers depth",
    _BY_PROBLEM % "kind: mlp, {layers}": "layers layer_sizes layer_size architecture network net nn neural_network "
    "model net_type fnn mlp chain",
    _BY_PROBLEM % "kind: mlp, activation: {word}": "activation act activation_function",
    _BY_PROBLEM % "kind: mlp, initialization: glorot": "initializer initialization kernel_initializer",
    _POINTS % "interior: {number}": "num_domain n_domain collocation_points n_collocation num_collocation n_points "
    "num_points points n_f interior_points samples n_samples num_test",
    _POINTS % "boundary: {number}": "num_boundary n_boundary num_initial n_initial n_b boundary_points n_u n_bc n_ic",
    _POINTS % "sampling: {word}": "sampling train_distribution sampler",
    _MESH: "element elements function_space v_h degree order mesh_size hmax h nx ny nz resolution grid cells dx ncells "
    "refinement polynomial_degree",
    _STEPS: "dt time_step timestep timesteps nt num_steps n_steps integrator scheme time_stepping",
    "write `solve: {tolerance: {number}}`": "tol rtol atol reltol abstol tolerance eps accuracy precision_goal",
    "write `solve: {seed: {number}}`": "seed random_seed",
    "write `solve: {device: {word}}`": "device gpu cuda",
    "write `solve: {precision: {word}}`": "dtype precision float",
    "write `solve: {method: auto}`, or leave it out": "solver method algorithm strategy discretization linear_solver",
}
SETTINGS = {word: hint for hint, words in _SETTINGS.items() for word in words.split()}

SIDES = {  # the name of a side, by the number of its coordinate of space and of its end
    **dict.fromkeys(("left", "west", "xmin", "x_min", "x0", "x_low", "lo"), (0, 0)),
    **dict.fromkeys(("right", "east", "xmax", "x_max", "x1", "x_high", "hi"), (0, 1)),
    **dict.fromkeys(("bottom", "south", "ymin", "y_min", "y0", "lower", "down"), (1, 0)),
    **dict.fromkeys(("top", "north", "ymax", "y_max", "y1", "upper", "up", "lid"), (1, 1)),
    **dict.fromkeys(("back", "zmin", "z_min", "z0"), (2, 0)),
    **dict.fromkeys(("front", "zmax", "z_max", "z1"), (2, 1)),
}
WHOLE = ("boundary", "all", "everywhere", "walls", "wall", "edges", "edge", "on_boundary", "domain_boundary",
         "exterior", "∂ω", "domega", "border", "sides", "true", "ends", "bnd")  # fmt: skip
START = ("initial", "on_initial", "t0", "t_0", "tmin", "start", "initial_time", "ic")
SHAPES = {"circle": "disk", "disc": "disk", "sphere": "ball"}  # of a domain, with the same keys
SOUGHT = ("unknown", "?", "to_be_found", "find", "fit", "trainable", "inferred", "tbd")  # in the place of a value
RATES = ("velocity", "speed", "rate", "derivative", "dt")  # of change, at the start
END = ("final", "tmax", "t1", "t_end", "final_time")

KINDS = {  # of conditions: what they say of an unknown u and a value
    **dict.fromkeys(("dirichlet", "dirichletbc", "essential", "fixed", "value", "fixedvalue"), "{u} = {value}"),
    **dict.fromkeys(("neumann", "neumannbc", "natural", "flux", "gradient", "neumannvalue"), "Dn({u}) = {value}"),
    **dict.fromkeys(("no_flux", "noflux", "zero_flux", "insulated", "insulation", "symmetry"), "Dn({u}) = 0"),
    **dict.fromkeys(("robin", "robinbc", "mixed", "convection"), "Dn({u}) + {a}*{u} = {value}"),
}  # fmt: skip
PERIODIC = ("periodic", "periodicbc", "cyclic")


def plain(key: object) -> str:
    """A key without its case, spaces and hyphens."""
    return re.sub(r"[\s-]+", "_", str(key).strip()).lower()


def setting_hint(key: object, value: object) -> str | None:
    """What to write for a setting of other tools, with its value where it fits; None for a word that is none."""
    hint = SETTINGS.get(plain(key))
    if hint is None:
        return None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if isinstance(value, str) and re.fullmatch(r"[0-9.]+(?:[eE][-+]?[0-9]+)?", value):
        number = value
    word = value.lower() if isinstance(value, str) and value.isidentifier() else None
    layers = "width: 64, depth: 2"
    if isinstance(value, list) and all(isinstance(n, int) for n in value) and len(value) > 2:
        layers = f"width: {max(value[1:-1])}, depth: {len(value) - 2}"
    stands_for = {
        "number": re.sub(r"e([-+])0", r"e\1", str(number or 1000)),
        "word": word or _WORDS.get(plain(key), "tanh"),
        "layers": layers,
    }
    if number is None and "tolerance: {number}" in hint:
        stands_for["number"] = "1e-6"
    return re.sub(r"\{(number|word|layers)\}", lambda m: str(stands_for[m[1]]), hint)


_WORDS = {"device": "cuda", "gpu": "cuda", "cuda": "cuda", "dtype": "float64", "precision": "float64",
          "float": "float64", "optimizer": "adam", "optimiser": "adam", "optim": "adam", "sampling": "sobol",
          "sampler": "sobol", "train_distribution": "sobol"}  # fmt: skip
