"""Send the lines of a file or a pipe as rows; the command itself is in `command`."""
