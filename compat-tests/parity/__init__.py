"""The same commands of the real clients on two servers, devpi-server and ours: what they print must be equal.

`scenarios` holds the commands as data, `steps` says what they are made of, `pair` runs them on both sides at once,
`normalise` takes out what differs by nature, `differences` knows what may differ, and `offered` what devpi-client has
to offer, so that no option is forgotten.
"""
