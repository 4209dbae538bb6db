"""Detectors, each alone."""
