"""Data, weights and figures: render a dataset from meshes, train a prior on it, evaluate what comes out.

Only commands; no component that a recipe could name.
"""
