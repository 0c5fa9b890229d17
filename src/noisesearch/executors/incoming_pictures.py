"""Where the pictures that workers made come in: kept, or shown to verifiers at this side."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..candidates.trajectory import Trajectory
from ..files.pictures import Picture, read

if TYPE_CHECKING:
    from ..verifiers.slow_verifier import SlowVerifier
    from .messages import Heard

Keep = Callable[[str, bytes], None]


class IncomingPictures:
    """Hands files of finished samples to ``keep``, by the key of their trajectory, and pictures
    for the verifiers of ``away``, by name, to ``hand``, which whoever asks those sets."""

    def __init__(
        self,
        parts: tuple[str, ...],
        keep: Keep | None = None,
        away: Mapping[str, SlowVerifier] | None = None,
    ) -> None:
        self.parts = parts
        self.hand: Callable[[Trajectory, Picture, SlowVerifier], None] | None = None
        self._keep, self._away = keep, away or {}

    def receive(self, heard: Heard) -> None:
        for key, file in heard.pictures.items():
            if self._keep is not None:
                self._keep(key, file)
        for shown in heard.shown:
            if self.hand is not None and shown.verifier in self._away:
                self.hand(shown.of, read(io.BytesIO(shown.picture)), self._away[shown.verifier])
