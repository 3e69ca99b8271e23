"""Let respx see httpx2, which the SDK and we use; must be loaded before pytest's other plug-ins."""

import httpx2

httpx2.alias_httpx()
