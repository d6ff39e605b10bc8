"""Proves or refutes a gradient."""

__version__ = "0.1.0"
