"""The errors of the conversation; each text is fit to be shown.

AgentError
├── ModelError
│   ├── ModelUnavailable     overloaded, limited or out of reach for longer than we wait: exit code 75
│   ├── BadCredentials       no key, or one that is refused
│   ├── BudgetSpent          the account's or the session's budget is spent
│   └── ModelRefused         the service takes the request for invalid
│       └── ContextOverflow  the conversation is longer than the model can read
├── BadTranscript            a file that is no transcript, or of a newer version
└── NotWritten               standard output has no room for what was printed
"""


class AgentError(Exception):
    """Something in the conversation went wrong."""


class ModelError(AgentError):
    """The model could not answer."""


class ModelUnavailable(ModelError):
    """Overloaded, rate limited or out of reach; trying later helps."""


class BadCredentials(ModelError):
    """No credentials, or refused ones."""


class BudgetSpent(ModelError):
    """A budget is spent: the account's, or the session's own."""


class ModelRefused(ModelError):
    """The service refuses the request itself; trying again does not help."""


class ContextOverflow(ModelRefused):
    """The conversation is longer than the model can read; compacting it helps."""


class BadTranscript(AgentError):
    """A transcript that cannot be read."""


class NotWritten(AgentError):
    """What was printed is not all there."""
