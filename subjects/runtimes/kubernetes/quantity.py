"""Kubernetes' quantities of processors: `1`, `0.5`, `20m`."""


def cores(quantity: str) -> float:
    """Return cores."""
    text = str(quantity)
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def written(value: float) -> str:
    """Return cores as a quantity, in whole thousandths."""
    return f"{round(value * 1000)}m"
