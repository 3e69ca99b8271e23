"""Examples of each command, as its `--help` and docs/reference.md show them."""

from collections.abc import Mapping, Sequence

EXAMPLES: Mapping[str, Sequence[str]] = {
    "operator": (
        "operator",
        'operator -p "what broke, and was anything lost?"',
        "operator --resume",
    ),
    "operator demo chaos": (
        "operator demo chaos",
        "operator demo chaos --fault pause --target leader --no-pause",
        "operator demo chaos --subject tikv --timeout 1m --keep",
    ),
    "operator deploy up": ("operator deploy up", "operator deploy up --subject tikv"),
    "operator deploy status": ("operator deploy status", "operator deploy status --output json"),
    "operator deploy down": ("operator deploy down",),
    "operator watch": (
        "operator watch",
        "operator watch --endpoints http://10.0.0.1:2379 --name prod --for 8h",
        "operator watch --alertmanager http://localhost:9093 --metrics-listen 127.0.0.1:9600",
    ),
    "operator describe": ("operator describe etcd-2", "operator describe etcd-2 --output json"),
    "operator logs": ("operator logs etcd-2 --since 10m", "operator logs etcd-2 -f --grep election"),
    "operator fault list": ("operator fault list",),
    "operator fault inject": (
        "operator fault inject pause leader --for 30s",
        "operator fault inject network_delay etcd-2 --value 200 --scope clients",
    ),
    "operator fault heal": ("operator fault heal", "operator fault heal 3"),
    "operator restore": ("operator restore",),
    "operator drill": (
        "operator drill --trials 20 --seed 7",
        "operator drill --faults kill,pause,none --output json > drill.json",
    ),
    "operator drill compare": ("operator drill compare before.json after.json --to compared.html",),
    "operator incidents list": ("operator incidents list",),
    "operator incidents show": ("operator incidents show", "operator incidents show 20261127-1327"),
    "operator incidents report": (
        "operator incidents report --format html --to report.html",
        "operator incidents report 20261127-1327 --format json",
    ),
    "operator sessions list": ("operator sessions list",),
    "operator sessions show": ("operator sessions show > conversation.md",),
    "operator replay": ("operator replay", "operator replay 20261127-1327 --speed 5"),
    "operator doctor": ("operator doctor",),
    "operator config": ("operator config", "operator config --output json"),
    "operator mcp": ("operator mcp", "claude mcp add operator -- operator mcp --allow-faults"),
}


def epilog(path: str) -> str | None:
    """Return what follows a command's options in its help; None for groups."""
    lines = EXAMPLES.get(path)
    if lines is None:
        return None
    head = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(["\b", head, *(f"  {line}" for line in lines)])
