"""The command line. Results go to stdout, everything else to stderr."""

# Each module adds its commands to the application, and help lists them in this order.
from . import (  # isort: skip
    generate,
    looking,
    folders,
    survey,
    calibrate,
    check_verifier,
    answer,
    evaluate,
    report,
    experiments,
)
from .common import app

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
