"""The options that a simulated terminal answers. Values as captured, or plain."""

from drivers.zk.simulator.firmware import Firmware


def first_options(
    serial: str, model: str, platform: str, firmware: Firmware, *, users: int, records: int
) -> dict[str, str]:
    """Option values by name; `users` and `records` are what there is room for."""
    tail = sum(serial.encode()) & 0xFFFFFF
    return {
        "~SerialNumber": serial,
        "~DeviceName": model,
        "~Platform": platform,
        "~OS": "1",
        "~OEMVendor": "hadir",
        "~ProductTime": "2016-01-13 10:00:00",
        "~ZKFPVersion": "10",
        "~PIN2Width": str(firmware.pin_width),
        "~SSR": "1",
        "~ExtendFmt": "0",
        "~UserExtFmt": "0",
        "ExtendOPLog": "0",
        "WorkCode": "0",
        "CompatOldFirmware": "0",
        "FaceFunOn": "0",
        "FingerFunOn": "1",
        "ZKFaceVersion": "0",
        "~IsOnlyRFMachine": "0",
        "~MaxUserCount": str(users // 100),
        "~MaxAttLogCount": str(records // 10_000),
        "DeviceID": "1",
        "IPAddress": "192.0.2.10",
        "NetMask": "255.255.255.0",
        "GATEIPAddress": "192.0.2.1",
        "MAC": "02:00:5e:" + ":".join(f"{byte:02x}" for byte in tail.to_bytes(3, "big")),
    }
