"""What somebody changed in an output since it was written, row by row and cell by cell, and carrying that into the next one."""
