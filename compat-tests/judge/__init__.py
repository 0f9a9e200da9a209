"""The judge: the same requests to devpi-server and to ours, and a verdict on each pair of answers.

`servers` starts one server of each kind, `exchange` speaks HTTP to them, `steps` describes what to ask, `scenarios` is
the list of what is asked, `normalise` turns an answer into comparable facts, `differences` knows which deviations are
accepted, `compare` brings it together, `report` prints it. `python -m judge --help` shows how to run it by hand.
"""
