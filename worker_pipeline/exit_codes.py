"""The exit codes that several commands, or whoever starts them, have to do with."""

EXIT_BAD_CONFIGURATION = 2  # nothing was started; it would not help to try again
EXIT_STAGE_FAILED = 70  # EX_SOFTWARE
