"""Ports in files: recorded in one environment, compared in another."""
