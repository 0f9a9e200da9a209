"""The judge: the same requests to devpi-server and to ours, and a verdict on each pair of answers.

`servers` starts one server of each kind, `exchange` speaks HTTP to them, `endpoint` is the index to which they push
elsewhere, `upstreams` runs what they mirror, `steps` describes what to ask, `scenarios` is the list of what is asked,
`normalise` turns an answer into comparable facts (`pages` those of a simple page, `sent` those of what was pushed),
`differences` knows which deviations are accepted, `compare` brings it together, `report` prints it.
`python -m judge --help` shows how to run it by hand.
"""
