"""The command lines. Nothing heavy is imported before a command needs it."""
