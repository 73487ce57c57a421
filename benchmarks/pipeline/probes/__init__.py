"""What is asked of the processes from outside: of the kernel, of /metrics, of the coordinators."""
