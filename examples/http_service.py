"""A scoring service over HTTP as a verifier, written with Python's standard library alone.

    noisesearch generate "a red circle" \
        --verifier 'process:python3 examples/http_service.py http://localhost:8000/score'

The service gets a POST with the JSON {"prompt": …, "image": PNG in base64} for each picture and
answers {"score": …}. Several pictures are on their way at once; what fails with one of them is
the reason why that one has no score, and touches no other.
"""

import base64
import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from noisesearch.verifiers.serve import ServedCondition, serve  # or from a copy of that one file

TOGETHER = 8


def asked(png: bytes, condition: ServedCondition) -> float | str:
    """The service's score of one picture, or why there is none."""
    body = {"prompt": condition.text, "image": base64.b64encode(png).decode()}
    request = urllib.request.Request(
        sys.argv[1], json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return float(json.load(answer)["score"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"the service: {type(error).__name__}: {error}"


def service(images: list[bytes], conditions: list[ServedCondition]) -> list[float | str]:
    """A score or a reason for each picture."""
    with ThreadPoolExecutor(TOGETHER) as pool:
        return list(pool.map(asked, images, conditions))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("give the address of the service")
    serve(service, images="png", batch=TOGETHER)
