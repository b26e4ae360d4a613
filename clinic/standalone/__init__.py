"""What the program brings along where no servers are: PostgreSQL, a mailbox, and somebody who minds the processes."""
