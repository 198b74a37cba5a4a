class User:
    uid: int
    name: str
    privilege: int
    password: str
    group_id: str
    user_id: str
    card: int
