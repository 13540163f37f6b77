"""Analyses of St Mary's for eucan-dask."""
