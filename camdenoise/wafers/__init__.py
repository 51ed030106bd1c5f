"""What a wafer is: maps and collections of them, their dies and zones. No torch, no file."""
