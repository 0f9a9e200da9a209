"""All commands that are run on both servers, by subject."""
