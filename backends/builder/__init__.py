"""Recipes that make variants out of a model: the same weights dequantised, quantised, pruned or distilled.

`build.build` is the way in; it maps a variant's `source` to a recipe and imports only that one.
"""
