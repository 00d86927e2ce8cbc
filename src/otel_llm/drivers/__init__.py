"""How calls are noticed: one driver per family of SDKs. Every private name of an SDK stands in this package."""
