"""Grids of trainings: arms × seeds × models × data sets × base losses × weights, run, stored and reported."""
