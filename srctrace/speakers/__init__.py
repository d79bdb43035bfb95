"""Pseudo-speakers for corpora without speaker labels, and the draw of unseen speakers."""
