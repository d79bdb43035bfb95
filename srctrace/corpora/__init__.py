"""Corpora: what is spoken, scanned or fetched."""
