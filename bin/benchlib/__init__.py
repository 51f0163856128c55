"""What the benchmarks share: nets and their spellings, sides measured in turn, what the machine can do."""
