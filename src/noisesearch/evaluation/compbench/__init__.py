"""T2I-CompBench (arXiv 2307.06350): its prompts, and its scores as its code computes them.

https://github.com/Karine-Huang/T2I-CompBench at commit 1b7094991a57; where that code does what
was hardly meant, so does this, and :mod:`.repaired_rules` does what was.
"""
