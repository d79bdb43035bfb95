"""Corpora: what reads each kind into the rows of a manifest, and the built-in one."""
