"""Simulated federations and the contract every analysis must pass: for us and for hospitals."""
