"""Known weaknesses of what is installed, or else whether all of it was reviewed.

pip-audit asks a service on the network. Where that does not answer, the direct dependencies of
pyproject.toml are compared with the reviewed list in docs/dependencies.md. Says which of the two
it did; exit status 1 for a weakness, and for a direct dependency that is not on the list.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HEADING = "## Reviewed"
REVIEWED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)$", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9._-]+")
SECONDS = 300  # that the service is given in all
INSTALLERS = ("pip", "setuptools", "wheel")  # the machine's, which no project brings along


def direct(project: Mapping[str, Any]) -> list[str]:
    """The names in a pyproject.toml's dependencies, extras included, without the project's own."""
    extras = project.get("optional-dependencies", {}).values()
    wanted = [*project["dependencies"], *(each for extra in extras for each in extra)]
    names = [match[0] for each in wanted if (match := NAME.match(each))]
    return sorted({canonical(name) for name in names} - {canonical(project["name"])})


def reviewed(page: str) -> dict[str, str]:
    """The version of each package that was looked at, by name, as the page lists them."""
    return {canonical(name): at for name, at in REVIEWED.findall(page.partition(HEADING)[2])}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def weaknesses() -> list[str] | None:
    """A line each, as pip-audit says them; None where its service does not answer."""
    command = [sys.executable, "-m", "pip_audit", "--local", "--format", "json",
               "--progress-spinner", "off", "--timeout", "15"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        found = json.loads(done.stdout)["dependencies"]
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
        return None
    return [
        f"{each['name']} {each['version']}: {weakness['id']}, mended in "
        f"{', '.join(weakness['fix_versions']) or 'no version yet'}"
        for each in found
        if each["name"] not in INSTALLERS
        for weakness in each.get("vulns", ())
    ]


def unreviewed() -> list[str]:
    """Direct dependencies that are not on the list; says which are at another version than that
    which was looked at."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    known = reviewed((ROOT / "docs" / "dependencies.md").read_text("utf-8"))
    for name in direct(project):
        try:
            here = version(name).partition("+")[0]
        except PackageNotFoundError:  # an extra's, which is not wanted here
            continue
        if known.get(name, here) != here:
            print(f"{name} is installed at {here} and was reviewed at {known[name]}")
    return [name for name in direct(project) if name not in known]


def main() -> int:
    """The exit status."""
    found = weaknesses()
    if found is None:
        print("pip-audit's service does not answer: comparing with docs/dependencies.md")
    else:
        print(f"asked pip-audit: {len(found)} known weaknesses", *found, sep="\n")
    lacking = unreviewed()
    if lacking:
        print(f"not on the reviewed list in docs/dependencies.md: {', '.join(lacking)}")
    return int(bool(found or lacking))


if __name__ == "__main__":
    sys.exit(main())
