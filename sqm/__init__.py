"""Service quality studies that regenerate themselves."""

__version__ = "0.1.0"
