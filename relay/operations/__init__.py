"""What people call, not what events pass through."""
