"""Random sequences of operations, run on devpi-server and on ours; answers and visible state must agree.

`names` is the small world that sequences play in, `picture` a light picture of what exists in it, `generate` makes a
sequence from a seed, `requests` turns an operation into a request, `play` runs a sequence on a pair of servers and
`look` compares all that can be seen, `verdict` judges a pair of answers by the means of the package `judge`, `shrink`
makes a failing sequence small, `kept` holds the ones that once failed. `python -m sequences --help` shows how to run
it by hand.

A sequence is a list of plain JSON objects. Operations name files by what they are (project, version, kind, number of
the content), never by what a server made of them, so each part of a sequence is a sequence again.
"""
