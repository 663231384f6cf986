"""How fast it is: ratios of works that ran in turn in one process. `make bench`; results in docs/performance.md."""
