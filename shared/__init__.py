"""Layers that every service stands on. The order of the layers is in README.md of this folder."""
