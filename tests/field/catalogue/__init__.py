"""The catalogue: one module a kind of incident, one function a case."""

import importlib
import pkgutil


def load() -> None:
    """Import every module of the catalogue: each puts its cases into `CASES`."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
