"""What `fleetgen doctor` looks at: the machine, its disks, ports, packages and programs. It changes nothing."""
