"""Run directories in, one self-contained HTML page out; call `eucan_dask.report.page.write`."""
