"""What goes wrong around a server, made on purpose: disks, clients, archives; and what a server holds meanwhile."""
