"""A multimodal language model as a verifier: ``llm-grader`` (arXiv 2501.09732, Appendix A.3)."""

from .settings import LLMGrader

__all__ = ["LLMGrader"]
