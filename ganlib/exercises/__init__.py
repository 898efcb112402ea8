"""Exercises that check themselves and name the mistake: one block each in ``lesson_NN``, run by ``engine``."""

from .engine import NotAttempted, Verdict, check, decide, find, hint, observe, run, solution

__all__ = ["NotAttempted", "Verdict", "check", "decide", "find", "hint", "observe", "run", "solution"]
