"""Fingerprints of what is loaded, compared with those that a run was made with."""

from __future__ import annotations

from ..algorithms import capabilities
from ..errors import StoreError
from ..files.fingerprint import of_file
from ..objectives import sets_text
from .loaded import Loaded


def of(loaded: Loaded) -> dict[str, str]:
    """Return the fingerprints of model, verifiers, drafts, references and algorithm, by name."""
    prints = {f"verifier {v.name}": v.fingerprint for v in loaded.every_verifier}
    if (form := sets_text.parse(loaded.spec.objective)) and form.reference is not None:
        prints[f"reference {form.reference}"] = of_file(form.reference)
    prints |= capabilities.fingerprints(loaded.algorithm)
    prints |= {f"draft {q}": d.fingerprint for q, d in loaded.drafts.items() if d.fingerprint}
    return {f"model {loaded.spec.model}": loaded.model.fingerprint, **prints}


def check(loaded: Loaded, folder: object) -> None:
    """Raise StoreError where a run was made with other weights: scores would be mixed."""
    found = of(loaded)
    for name, recorded in loaded.spec.fingerprints.items():
        now = found.get(name)
        if now != recorded:
            raise StoreError(
                f"{folder} was made with other weights: {name} was {recorded}, is {now}; "
                "install those weights again or start a new run with --out"
            )
