"""Ours beside devpi-server, pypiserver, pypiron and nginx, loaded with the same data in one run: `make bench`.

The machines that run this are shared and noisy, so only the ratios of one run mean something. No time is asserted; that
every answer is right is: a wrong one fails the figure. Everything listens on the loopback address.
"""

import base64

AUTH = {"Authorization": "Basic " + base64.b64encode(b"root:").decode()}
"""The login of root on a server without a password."""
