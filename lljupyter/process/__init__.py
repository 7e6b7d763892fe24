"""What is borrowed from the process and given back: randomness, threads, memory, precision, priority, files."""
