"""What can go wrong with one try."""

from __future__ import annotations


class Failed(Exception):
    """A try that gave no answer, and why; the text holds no key.

    ``final``: another try would go the same way. ``after``: seconds that the service asks to wait.
    ``tokens``: (in, out) that it took all the same.
    """

    def __init__(
        self,
        reason: str,
        *,
        final: bool = False,
        after: float = 0.0,
        tokens: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(reason)
        self.final, self.after, self.tokens = final, after, tokens
