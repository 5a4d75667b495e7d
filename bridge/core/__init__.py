"""Values and contracts that every layer shares. Standard library only."""
