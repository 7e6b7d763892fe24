"""What is looked at, frozen: the private model, the data, and what is measured."""
