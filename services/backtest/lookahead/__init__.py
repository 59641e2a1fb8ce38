"""Whether anything that was decided used the future: the same past with another future must lead to the same words."""
