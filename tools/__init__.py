"""What the project's maintainers run by hand or through make: documents and benchmarks."""
