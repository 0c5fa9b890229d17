"""What every verifier must do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ..candidates.condition import Condition
from ..candidates.noise import normals
from ..names.capabilities import offered
from ..sampling.denoiser import fill
from ..sampling.images import quantise
from ..verifiers.capabilities import WithFeatures, previews_of
from ..verifiers.protocol import Verifier, Views

ROWS = 8


def shown(verifier: Verifier, images: Tensor, conditions: Sequence[Condition]) -> Views:
    """What a verifier is shown of images [B, 3, H, W]; previews that it wants are softer ones."""
    times = previews_of(verifier)
    return Views(images, conditions, {t: quantise(F.avg_pool2d(images, 3, 1, 1)) for t in times})


class VerifierContract:
    """Inherit and give the fixture ``verifier``; ``images`` and ``conditions`` where it needs
    others than noise and one text."""

    @pytest.fixture
    def images(self) -> Tensor:
        """[8, 3, H, W] in [0, 1], as the file holds them."""
        return quantise(torch.from_numpy(0.5 + 0.25 * normals(11, (ROWS, 3, 32, 32))))

    @pytest.fixture
    def conditions(self) -> Sequence[Condition]:
        """Eight conditions."""
        return [Condition(text="a red circle")] * ROWS

    def score(
        self, verifier: Verifier, images: Tensor, conditions: Sequence[Condition]
    ) -> Mapping[str, Tensor]:
        """At the verifier's own batch size, or eight rows, filled with copies."""
        size = verifier.rows or ROWS
        columns: dict[str, list[Tensor]] = {p: [] for p in verifier.parts}
        with torch.inference_mode():
            for i in range(0, len(images), size):
                some, of = images[i : i + size], list(conditions[i : i + size])
                filled = shown(verifier, fill(list(some), size), [*of, *of[:1] * (size - len(of))])
                for part, values in verifier(filled).items():
                    assert len(values) == size, "one number for every row, fillers included"
                    columns[part].append(torch.as_tensor(values)[: len(some)].double())
        return {part: torch.cat(found) for part, found in columns.items()}

    def test_parts(
        self, verifier: Verifier, images: Tensor, conditions: Sequence[Condition]
    ) -> None:
        scored = self.score(verifier, images, conditions)
        assert set(scored) == set(verifier.parts) and verifier.parts
        for values in scored.values():
            assert values.shape == (len(images),) and values.isfinite().all()
        assert isinstance(verifier.name, str) and isinstance(verifier.fingerprint, str)

    def test_scale_for_each_part(self, verifier: Verifier) -> None:
        assert set(verifier.scale) == set(verifier.parts)
        assert all(s > 0 for s in verifier.scale.values())

    def test_rows_are_independent(
        self, verifier: Verifier, images: Tensor, conditions: Sequence[Condition]
    ) -> None:
        scored = self.score(verifier, images, conditions)
        turn = [3, 1, 7, 0, 5, 2, 6, 4]
        turned = self.score(verifier, images[turn], [conditions[i] for i in turn])
        for part in verifier.parts:
            assert torch.equal(turned[part], scored[part][turn]), "bit for bit, in any slot"

    def test_fillers_do_not_matter(
        self, verifier: Verifier, images: Tensor, conditions: Sequence[Condition]
    ) -> None:
        scored = self.score(verifier, images, conditions)
        for i in range(len(images)):
            alone = self.score(verifier, images[i : i + 1], conditions[i : i + 1])
            assert all(torch.equal(alone[p][0], scored[p][i]) for p in verifier.parts)

    def test_features(
        self, verifier: Verifier, images: Tensor, conditions: Sequence[Condition]
    ) -> None:
        """Where it has them: one row for every image, whatever its companions are."""
        seeing = offered(verifier, WithFeatures)
        if seeing is None:
            return
        size = verifier.rows or ROWS
        rows = fill(list(images[:size]), size)
        with torch.inference_mode():
            seen = seeing.features(Views(rows, list(conditions)[:1] * size))
            turned = seeing.features(Views(rows.flip(0), list(conditions)[:1] * size))
        assert seen.dim() == 2 and len(seen) == size and seen.isfinite().all()
        assert torch.equal(turned.flip(0), seen)

    def test_images_are_left_alone(
        self, verifier: Verifier, images: Tensor, conditions: Sequence[Condition]
    ) -> None:
        size = verifier.rows or ROWS
        given = fill(list(images[:size]), size)  # the very tensor that it is handed
        before = given.clone()
        with torch.inference_mode():
            verifier(shown(verifier, given, [*conditions, *[conditions[0]] * size][:size]))
        assert torch.equal(given, before)
