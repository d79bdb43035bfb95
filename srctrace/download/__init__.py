"""Data sets from their hosts: what can be had, fetching, checking, unpacking."""
