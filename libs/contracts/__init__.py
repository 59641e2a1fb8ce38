"""What is said on the tape: every event, its subject, who may say it, and how it is written down."""
