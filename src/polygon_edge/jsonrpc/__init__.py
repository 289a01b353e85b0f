"""The JSON-RPC door: Ethereum's tools over HTTP."""
