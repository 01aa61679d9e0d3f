"""What makes models answer the abilities that callbacks need; one file or folder a framework."""
