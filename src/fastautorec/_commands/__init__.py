"""What the sub-commands of the command line do."""
