"""Engines that answer, one package for each; `catalog` has their names."""
