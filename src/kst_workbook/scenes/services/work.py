"""What the lesson's jobs do. A rehearsal does not run it."""


class Database:
    async def execute(self, statement, *values):
        """Write a row."""


db = Database()


async def crawl_nps():
    return 250


async def renew_token():
    """Ask for a new token."""


async def send_launch():
    """Tell everybody that the service is there."""


async def send_report():
    """Send the numbers of the last days."""
