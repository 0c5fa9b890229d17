"""The command line. Results go to stdout, everything else to stderr."""

# Each module adds its commands to the application, and help lists them in this order.
from . import answer, calibrate, check_verifier, evaluate, experiments, generate, report
from . import compare as survey
from . import run_folders as folders
from . import show as looking
from .application import app

__all__ = [
    "answer",
    "app",
    "calibrate",
    "check_verifier",
    "evaluate",
    "experiments",
    "folders",
    "generate",
    "looking",
    "report",
    "survey",
]
