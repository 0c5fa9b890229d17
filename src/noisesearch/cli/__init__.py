"""The command line. Results go to stdout, everything else to stderr."""

# Each module adds its commands to the application, and help lists them in this order.
from . import (  # isort: skip
    generate,
    show,
    run_folders,
    compare,
    calibrate,
    check_verifier,
    answer,
    evaluate,
    report,
    experiments,
)
from .application import app

__all__ = [
    "answer",
    "app",
    "calibrate",
    "check_verifier",
    "compare",
    "evaluate",
    "experiments",
    "generate",
    "report",
    "run_folders",
    "show",
]
