"""Bases made by hidden layers: plain and residual networks, their activations and initializations."""
