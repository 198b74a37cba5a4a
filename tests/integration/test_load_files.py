"""Files that offices send: what goes in, what is kept out, and how the person is told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attendance.errors import ConfigError, DataError
from offices import Office
from sync.central import tables as t
from sync.central.load import LoadResult, load_file
from sync.central.store import initialise, open_engine

ANI, BUDI, CICI = "198503172010011001", "199001012015012001", "199202022023211001"
TABLES = (t.unit, t.person, t.membership, t.pin_map, t.terminal_listing)
UNITS = "unit,name,group\nbkd,Badan Kepegawaian,opd\nsetda,Sekretariat Daerah,opd\n"
PEOPLE = f"nip,name,unit,pin\n{ANI},Ani,bkd,1\n{BUDI},Budi,setda,2\n"

Load = Callable[..., LoadResult]


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    engine = open_engine(database_url)
    initialise(engine)
    yield Office(engine)
    engine.dispose()


@pytest.fixture
def load(office: Office, tmp_path: Path) -> Load:
    """Write text (or bytes) to a file and load it."""

    def loaded(kind: str, content: str | bytes, *, dry_run: bool = False) -> LoadResult:
        file = tmp_path / f"{kind}.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_file(office.engine, kind, file, dry_run=dry_run)

    return loaded


def counts(result: LoadResult) -> tuple[int, int, int, int]:
    return len(result.added), len(result.changed), result.unchanged, len(result.refused)


def stored(office: Office) -> list[list[dict[str, object]]]:
    return [office.rows(table) for table in TABLES]


def faults(result: LoadResult) -> list[tuple[int, str]]:
    return [(note.line, note.text) for note in result.refused]


def test_the_same_files_twice_change_nothing(office: Office, load: Load) -> None:
    terminals = "edge,terminal,serial,unit,from\nsetda-01,lobi,CGKK1,bkd,2026-01-01\n"
    assert counts(load("units", UNITS)) == (2, 0, 0, 0)
    assert counts(load("people", PEOPLE)) == (2, 0, 0, 0)
    assert counts(load("terminals", terminals)) == (1, 0, 0, 0)
    before = stored(office)
    assert counts(load("units", UNITS)) == (0, 0, 2, 0)
    assert counts(load("people", PEOPLE)) == (0, 0, 2, 0)
    assert counts(load("terminals", terminals)) == (0, 0, 1, 0)
    assert stored(office) == before
    assert before[3][0] == {
        "terminal_group": "default",
        "pin": "1",
        "from_date": "0001-01-01",
        "to_date": "9999-12-31",
        "nip": ANI,
    }


def test_a_dry_run_says_what_would_change_and_changes_nothing(office: Office, load: Load) -> None:
    load("units", UNITS)
    before = stored(office)
    new = UNITS.replace("Sekretariat Daerah", "Setda") + "dinkes,Dinas Kesehatan,opd\n"
    result = load("units", new, dry_run=True)
    assert [(note.line, note.text) for note in result.added] == [(4, "unit dinkes")]
    assert [note.text for note in result.changed] == ["unit setda: name Sekretariat Daerah -> Setda"]
    assert stored(office) == before


def test_a_spreadsheet_s_semicolons_byte_order_mark_and_column_order_are_read(
    office: Office, load: Load
) -> None:
    load("units", "\ufeffgroup;Name;unit\r\nopd;Badan; bkd \r\n;;\r\n")
    (unit,) = office.rows(t.unit)
    assert (unit["unit"], unit["name"], unit["ranking_group"]) == ("bkd", "Badan", "opd")


def test_a_column_that_the_file_lacks_keeps_what_is_loaded_and_an_empty_cell_clears_it(
    office: Office, load: Load
) -> None:
    load("units", UNITS)
    load("units", "unit,name\nbkd,Badan\n")
    assert office.rows(t.unit)[0]["ranking_group"] == "opd"
    load("units", "unit,name,group\nbkd,Badan,\n")
    assert office.rows(t.unit)[0]["ranking_group"] is None


@pytest.mark.parametrize(
    ("kind", "content", "complaint"),
    [
        (
            "units",
            "unit,nama\nbkd,B\n",
            "line 1: unknown column 'nama'; the nearest one is 'name'; column 'name'",
        ),
        ("people", "nip,name,unit\n", "column 'pin' is missing. The columns are: nip, name, unit, pin, "),
        ("people", "", "column 'nip' is missing"),
        ("units", "unit,name,unit\n", "column 'unit' stands twice"),
        (
            "units",
            b"unit,name\nbkd,Kantor Jos\xe9\n",
            r"line 2: byte 0xE9 is not UTF-8; save the file again as 'CSV UTF-8",
        ),
        (
            "units",
            'unit,name\nbkd,"Badan\nsetda,Setda\n',
            "line 2: not valid CSV: .* is a quotation mark open",
        ),
    ],
)
def test_a_file_that_cannot_be_used_as_a_whole_is_one_line(
    office: Office, load: Load, kind: str, content: str | bytes, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint) as caught:
        load(kind, content)
    assert "\n" not in str(caught.value)
    assert not office.rows(t.unit)


def test_kinds_of_a_later_version_are_refused_by_name(load: Load) -> None:
    with pytest.raises(ConfigError, match="this version loads units, people, terminals; not 'leave'"):
        load("leave", "nip\n")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (
            "1.98503E+17,Ani,bkd,1,,",
            "nip: '1.98503E+17' is a number that a spreadsheet has shortened; format the column as text",
        ),
        ('"1,98503E+17",Ani,bkd,1,,', "nip: '1,98503E+17' is a number that a spreadsheet has shortened"),
        (f"{ANI},Ani,bkd,1E+05,,", "pin: '1E+05' is a number that a spreadsheet has shortened"),
        (
            f"{ANI},Ani,bkdd,1,,",
            "unit: no unit 'bkdd' is loaded (the nearest one is 'bkd'); load units first",
        ),
        (
            f"{ANI},Ani,bkd,1,31/12/2026,",
            "from: '31/12/2026' is no date that can be read; write YYYY-MM-DD, for example 2026-12-31",
        ),
        (f"{ANI},Ani,bkd,1,46023,", "from: '46023' is no date that can be read; write YYYY-MM-DD"),
        (f"{ANI},Ani,bkd,1,2026-02-30,", "from: '2026-02-30' is no day of the calendar"),
        (f"{ANI},Ani,bkd,1,2026-02-02,2026-01-01", "from (2026-02-02) is later than to (2026-01-01)"),
        (f"{ANI},,bkd,1,,", "name is empty"),
        (f"{ANI},Ani,bkd,1", "4 cells, where the header has 6"),
        (f"{ANI},A\x00ni,bkd,1,,", "name: holds a line break or another control character"),
        (f"{ANI},{'A' * 201},bkd,1,,", "name: longer than 200 characters"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_the_others_go_in(
    office: Office, load: Load, row: str, complaint: str
) -> None:
    load("units", UNITS)
    result = load("people", f"nip,name,unit,pin,from,to\n{BUDI},Budi,setda,2,,\n{row}\n9,Dedi,bkd,4,,\n")
    ((line, text),) = faults(result)
    assert line == 3
    assert text.startswith(complaint)
    assert [person["nip"] for person in office.rows(t.person)] == sorted([BUDI, "9"])


def test_a_pin_of_two_people_at_the_same_time_is_refused_with_both_named(office: Office, load: Load) -> None:
    load("units", UNITS)
    result = load("people", PEOPLE + f"{CICI},Cici,bkd,1\n")
    ((line, text),) = faults(result)
    assert line == 4
    assert f"pin 1 of terminal group default is {ANI}'s" in text
    assert CICI in text
    again = load("people", f"nip,name,unit,pin\n{CICI},Cici,bkd,2\n")
    assert f"pin 2 of terminal group default is {BUDI}'s" in faults(again)[0][1]
    assert CICI not in {person["nip"] for person in office.rows(t.person)}


def test_the_same_pin_is_free_in_another_group_and_at_another_time(office: Office, load: Load) -> None:
    load("units", UNITS)
    rows = f"{ANI},Ani,bkd,1,opd,,2026-06-30\n{BUDI},Budi,bkd,1,opd,2026-07-01,\n{CICI},Cici,bkd,1,rsud,,\n"
    result = load("people", f"nip,name,unit,pin,terminal_group,from,to\n{rows}")
    assert counts(result) == (3, 0, 0, 0)
    assert len(office.rows(t.pin_map)) == 3


def test_two_people_can_exchange_their_pins_in_one_file(office: Office, load: Load) -> None:
    load("units", UNITS)
    load("people", PEOPLE)
    swapped = PEOPLE.replace("bkd,1", "bkd,x").replace("setda,2", "setda,1").replace("bkd,x", "bkd,2")
    assert counts(load("people", swapped)) == (0, 2, 0, 0)
    assert {(row["pin"], row["nip"]) for row in office.rows(t.pin_map)} == {("2", ANI), ("1", BUDI)}


def test_a_swap_whose_other_half_is_refused_changes_neither(office: Office, load: Load) -> None:
    load("units", UNITS)
    load("people", PEOPLE + f"{CICI},Cici,bkd,3\n")
    before = stored(office)
    result = load("people", f"nip,name,unit,pin\n{ANI},Ani,bkd,3\n{BUDI},Budi,setda,1\n")
    assert [line for line, _ in faults(result)] == [2, 3]
    assert stored(office) == before


def test_a_move_to_another_unit_needs_an_end_of_the_first(office: Office, load: Load) -> None:
    load("units", UNITS)
    load("people", PEOPLE)
    header = "nip,name,unit,pin,from,to\n"
    refused = load("people", f"{header}{ANI},Ani,setda,1,2026-08-16,\n")
    assert "is in unit bkd at all times already; end that with 'to'" in faults(refused)[0][1]
    moved = load("people", f"{header}{ANI},Ani,setda,1,2026-08-16,\n{ANI},Ani,bkd,1,,2026-08-15\n")
    assert counts(moved) == (0, 2, 0, 0)
    rows = [row for row in office.rows(t.membership) if row["nip"] == ANI]
    assert [(row["unit"], row["from_date"], row["to_date"]) for row in rows] == [
        ("bkd", "0001-01-01", "2026-08-15"),
        ("setda", "2026-08-16", "9999-12-31"),
    ]


def test_a_person_may_have_pins_in_two_groups(office: Office, load: Load) -> None:
    load("units", UNITS)
    content = f"nip,name,unit,pin,terminal_group\n{ANI},Ani,bkd,1,opd\n{ANI},Ani,bkd,77,rsud\n"
    load("people", content)
    assert len(office.rows(t.membership)) == 1
    assert len(office.rows(t.pin_map)) == 2
    assert counts(load("people", content)) == (0, 0, 2, 0)


def test_one_person_with_two_names_in_a_file_is_refused(load: Load) -> None:
    load("units", UNITS)
    result = load("people", PEOPLE + f"{ANI},Ana,bkd,1\n")
    assert faults(result) == [(4, f"{ANI} is 'Ani' (pns) on line 2, but 'Ana' (pns) here")]


def test_odd_nips_are_warned_about_and_go_in(office: Office, load: Load) -> None:
    load("units", UNITS)
    odd = "198513172010011001,A,bkd,1\n198503172010011000,B,bkd,2\n"
    right = "1985 0317 201001 1 009,C,bkd,3\nHL-7,D,bkd,4\n"
    result = load("people", f"nip,name,unit,pin\n{odd}{right}")
    assert not result.refused
    assert [(note.line, note.text.partition(": ")[2][:12]) for note in result.warnings] == [
        (2, "19851317 is "),
        (3, "serial 000 ("),
    ]
    kinds = {row["nip"]: row["kind"] for row in office.rows(t.person)}
    assert (kinds["198503172010011009"], kinds["HL-7"]) == ("pns", "other")


def test_the_kind_that_is_loaded_stays_where_a_file_does_not_say_it(office: Office, load: Load) -> None:
    load("units", UNITS)
    load("people", f"nip,name,unit,pin,kind\n{ANI},Ani,bkd,1,cpns\n{CICI},Cici,bkd,3,\n")
    load("people", f"nip,name,unit,pin\n{ANI},Ani,bkd,1\n")
    assert {row["nip"]: row["kind"] for row in office.rows(t.person)} == {ANI: "cpns", CICI: "pppk"}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("e1,lobi,3.39218E+12,bkd", "serial: '3.39218E+12' is a number that a spreadsheet has shortened"),
        ("e1,lobi,A/1,bkd", "serial: 'A/1' must have no space and no '/'"),
        ("E 1,lobi,A1,bkd", "edge: 'E 1' must be 1 to 40 of a-z, 0-9 and -"),
        ("e1,aula,A2,bkd", "terminal e1/aula stands already on line 2 for 0001-01-01 to 9999-12-31"),
        ("e1,lobi,A1,dinas", "unit: no unit 'dinas' is loaded"),
    ],
)
def test_a_terminal_row_that_cannot_be_used_is_named(
    office: Office, load: Load, row: str, complaint: str
) -> None:
    load("units", UNITS)
    result = load("terminals", f"edge,terminal,serial,unit\ne1,aula,A1,bkd\n{row}\n")
    assert [(line, text.startswith(complaint)) for line, text in faults(result)] == [(3, True)]
    assert [row["terminal"] for row in office.rows(t.terminal_listing)] == ["aula"]


def test_a_replaced_terminal_is_two_rows_that_follow_each_other(office: Office, load: Load) -> None:
    load("units", UNITS)
    rows = "e1,lobi,OLD,bkd,,2026-08-15\ne1,lobi,NEW,bkd,2026-08-16,\n"
    assert counts(load("terminals", f"edge,terminal,serial,unit,from,to\n{rows}")) == (2, 0, 0, 0)
    assert [row["serial"] for row in office.rows(t.terminal_listing)] == ["OLD", "NEW"]


def test_a_unit_s_zone_must_exist_and_an_unknown_parent_is_a_warning(load: Load) -> None:
    result = load("units", "unit,name,parent,timezone\nbkd,B,setda,WITA\nkec,K,kab,Asia/Makassar\n")
    assert faults(result)[0][1].startswith("timezone: 'WITA' is no time zone; write Asia/Jakarta (WIB)")
    assert [(note.line, note.text) for note in result.warnings] == [(3, "parent: no unit 'kab' is loaded")]


def test_a_unit_twice_with_other_values_is_refused_and_the_same_row_twice_is_not(
    office: Office, load: Load
) -> None:
    result = load("units", UNITS + "bkd,Badan Kepegawaian,opd\nbkd,Lain,opd\n")
    assert faults(result) == [(5, "unit 'bkd' stands already on line 2, with other values")]
    assert len(office.rows(t.unit)) == 2
