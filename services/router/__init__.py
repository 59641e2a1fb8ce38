"""Router: owns every order's life, from the approval to its last fill."""
