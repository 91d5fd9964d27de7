"""What reaches people outside the pages: mails."""
