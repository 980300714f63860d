//! What every story needs: a place of its own, a daemon, a shell.
