"""Models, data and training of the counterfactual reproduction book."""

__version__ = "0.1.0"
