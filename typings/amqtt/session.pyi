class Session:
    username: str | None
    password: str | None
