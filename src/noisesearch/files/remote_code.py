"""Python that lies beside weights runs only where whoever began this process said so.

That is kept by the process alone, and by the workers it starts: no run folder and no file of
settings can say it.
"""

from __future__ import annotations

_said: set[str] = set()
OPTION = "--trust-remote-code"


def trust_remote_code() -> None:
    """From here on, let the Python of models' repositories run in this process."""
    _said.add(OPTION)


def trusted() -> bool:
    return bool(_said)
