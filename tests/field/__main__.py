"""`python -m tests.field [CASE …]`: run the catalogue; a table on standard error, the score as JSON."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import tests.field.catalogue as catalogue
from tests.field.case import CASES, Verdict, run
from tests.field.score import score, table

AT_ONCE = 2
"""Cases mostly wait; more at once and the machine's own slowness is measured."""


def main(names: list[str]) -> int:
    """Run the named cases (all of them without a name); 1 if one is wrong with high confidence."""
    catalogue.load()
    unknown = [name for name in names if name not in CASES]
    if unknown:
        sys.stderr.write(f"No such case: {', '.join(unknown)}. There are: {', '.join(CASES)}\n")
        return 2
    chosen = [CASES[name] for name in names] if names else list(CASES.values())

    def one(name: str) -> Verdict:
        verdict = run(CASES[name])
        sys.stderr.write(f"{verdict.outcome:<10} {name:<34} {'; '.join(verdict.missed)}\n")
        return verdict

    with ThreadPoolExecutor(AT_ONCE) as pool:
        verdicts = list(pool.map(one, [each.name for each in chosen]))
    found = score(verdicts)
    sys.stderr.write(f"\n{table(verdicts)}\n\nscore {found['score']} of {found['cases']} cases\n")
    sys.stdout.write(json.dumps(found) + "\n")
    return 1 if found.get("wrong_high") else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    raise SystemExit(main(sys.argv[1:]))
