"""What tests of moving from devpi-server share: data of every kind, how to read all of it, and how to damage it.

`build` makes a serverdir with the real devpi-server, by its HTTP interface. `snapshot` collects what a running server
answers about everything it has, and `compare` says where two such pictures differ. `state` looks at the files of a
serverdir and at what lies in devpi's database, `scale` makes dumps of any size, `reference` runs devpi's programs.
"""
