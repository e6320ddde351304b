"""Faults on purpose: what a process, a disk or another thread may do to the library, at random, for as long as asked.

``make test-faults SECONDS=600 SEED=1``;
one case: ``PYTHONPATH=tests python -m faults kills --seed 1 --case 412``.
"""
