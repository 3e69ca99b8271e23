"""Who answers and who diagnoses in a session: Claude where there are credentials, else what needs none."""

from typing import TYPE_CHECKING

from agent.budget import Budget
from agent.errors import AgentError, BadCredentials
from agent.models.base import Model
from agent.models.catalog import choose, facts_of
from agent.models.offline import OfflineModel
from agent.setup import Setup, configured
from tools.diagnosis.examination import Diagnostician
from tools.diagnosis.rules import RulesDiagnostician
from tools.events import Emit

if TYPE_CHECKING:
    from agent.models.claude import ClaudeModel


def choose_model(setup: Setup) -> Model:
    """Return who answers: Claude with credentials, else offline mode. BadCredentials if a model was named."""
    from agent.models.providers import credentials_found

    wanted = setup.model is not None or setup.provider != "api"
    if setup.offline or not (wanted or credentials_found(setup.provider)):
        return OfflineModel()
    return choose_claude(setup)


def choose_diagnostician(model: Model, emit: Emit, budget: Budget) -> Diagnostician:
    """Return who diagnoses, at the cost of `budget`: the model in a conversation of its own, or the rules."""
    if model.driver != "claude":
        return RulesDiagnostician()
    from agent.diagnostician import ClaudeDiagnostician

    return ClaudeDiagnostician(model, emit, budget)


def choose_claude(setup: Setup) -> "ClaudeModel":
    """Return Claude as the person asked for it; BadCredentials, with what to do, where there are none."""
    from agent.models.claude import ClaudeModel
    from agent.models.providers import credentials_found, is_first_party, setup_help

    if not credentials_found(setup.provider):
        raise BadCredentials(f"No credentials for Claude were found. {setup_help(setup.provider)}")
    name = choose(setup.model, configured("model"))
    if setup.max_cost_usd is not None and facts_of(name).input_price is None:
        raise AgentError(
            f"The price of {name} is not known, so --max-cost cannot bound it. Leave it out, or take a "
            "model whose price is known: opus, sonnet, haiku or fable."
        )
    return ClaudeModel(
        name,
        provider=setup.provider,
        compat=setup.compat,
        # Whoever sits at the chat reads, thinks and comes back after more than five minutes.
        cached_for="1h" if setup.command == "chat" and is_first_party(setup.provider) else "5m",
    )
