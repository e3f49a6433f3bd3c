"""Appointments as letters carry them: iCalendar (RFC 5545), iTIP (RFC 5546), iMIP (RFC 6047); see README.md."""
