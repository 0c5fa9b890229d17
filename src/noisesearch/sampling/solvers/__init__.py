"""Solvers of the probability-flow ODE and its stochastic relatives, as pure steps."""

from ..process import like, renoise
from .multistep import DPMSolver
from .names import solver, with_noise
from .protocol import Denoise, Pair, Solver, State, mixed, velocity
from .single_step import DDIM, Euler, EulerSDE, Heun

__all__ = [
    "DDIM",
    "DPMSolver",
    "Denoise",
    "Euler",
    "EulerSDE",
    "Heun",
    "Pair",
    "Solver",
    "State",
    "like",
    "mixed",
    "renoise",
    "solver",
    "velocity",
    "with_noise",
]
