"""Benchmarks: one file a question, each beside a stated baseline in the same run; see README.md."""
