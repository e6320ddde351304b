"""Measurements of speed, memory and accuracy; README.md tells how each is taken."""
