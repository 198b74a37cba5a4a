from datetime import datetime

class Attendance:
    uid: int | str
    user_id: str
    timestamp: datetime
    status: int
    punch: int
