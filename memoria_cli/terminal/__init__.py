"""What people see and type: printing, drawing, progress, interrupts."""
