"""The one exception a user meets: a clear sentence naming the thing and the remedy."""


class UserError(Exception):
    """A mistake of the user's or of their data; the command line prints its message and exits with code 2."""
