"""Histories of calls to a ledger, and whether they are linearizable.

Clients note each call to a ledger before it and after it (``clients``, ``history``); processes of
them are killed, and so is the server (``crowd``). Then each row's calls are checked against the
model of a row (``check``; ``model`` is the same model in plain words, for tests). Used by the tests
of the ledger and by ``benchmarks/linear_histories.py``.
"""
