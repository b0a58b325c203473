"""The exercises: what each asks, its hints, its judge and its solution."""
