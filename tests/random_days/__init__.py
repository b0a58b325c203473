"""Random days of random clusters under random incidents, and what must hold on each of them.

The real scheduler, ``once``, lock and reconciler run in virtual time. Used by the tests and by
``benchmarks/cluster_days.py``; it stands here because hypothesis, which draws the days, is needed
for development only, and no reader of the library imports it.
"""
