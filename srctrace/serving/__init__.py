"""A page on this machine alone, to which a file is dropped to be traced; and the same for programs, as JSON.

`server` runs it, `app` answers, `guard` keeps other web pages out, `upload` takes files in, `page` is what is seen.
"""
