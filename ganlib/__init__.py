"""The package behind the ganlib course: short, tested PyTorch code for generative adversarial networks.

Nothing is imported here: a lesson names what it uses, for example ``from ganlib import data, gan``.
"""

__version__ = "0.1.0"
