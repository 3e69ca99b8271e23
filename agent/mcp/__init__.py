"""`operator mcp`: the tools for any MCP client."""
