"""The tests, their references, the coverage of the intervals and the benchmarks."""
