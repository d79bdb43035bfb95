"""The report: figures, and one page for a person. Import its modules; `names` alone needs no package."""
