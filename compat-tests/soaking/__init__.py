"""A long run of a server under many kinds of clients: what they do (`people`, `strangers`), and what it costs
(`samples`)."""
