"""The archive of attachments: one module a verb."""
