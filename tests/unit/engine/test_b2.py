"""The norm: layouts, the worked example, keys, envelope, writer and reader."""

import numpy as np
import pytest

from belvedere.engine.b2 import digits, keys
from belvedere.engine.b2.controls import control_bytes
from belvedere.engine.b2.findings import B2Error, rules
from belvedere.engine.b2.framing import frame
from belvedere.engine.b2.layouts import all_layouts, layout
from belvedere.engine.b2.lines import read_lines, share_out
from belvedere.engine.b2.records import KINDS
from belvedere.engine.b2.values import calendar_ok
from tests.flows import a_file, sector

# The worked example of the norm's reference (§16), one record a line.
EXAMPLE = (
    "000TP00000752600015      CT00000001036751      TRF00001261121FR  B2               128      EXEMPLE SYNTHETIQUE",
    "1752600015      751001       PSAD EXEMPLE                            B2261121 FR 062007U",
    "2752600015 155037599900133000000017   1261121   0175100002751000001260901   10400000000000000005503151          010500",
    "4752600015 155037599900133000000017 00000000000009    7526000150060261001AAD  04000100010001250000500010000050000005000 10000000",
    "4752600015 155037599900133000000017F01    1100034      L                    261001261028000125004000125000050000005000",
    "5752600015 155037599900133000000017   001                00005000000050000000000000000000",
    "675260001500100010001001000005000000005000000000000001",
    "999TP00000752600015      CT00000001036751      TRF0000100000008                   001",
)
CLEAR = "".join(line.ljust(128) for line in EXAMPLE).encode()


def test_every_layout_tiles_the_record():
    for spec in all_layouts().values():
        assert spec.zones[0].start == 1
        assert spec.zones[-1].end == 128
        assert all(a.end + 1 == b.start for a, b in zip(spec.zones, spec.zones[1:], strict=False))


def test_layouts_cover_both_families():
    assert {record for record, family in all_layouts() if family == "STD"} >= {
        "000",
        "1",
        "2",
        "2S",
        "2M",
        "2P",
        "2B",
        "2C",
        "4",
        "4S",
        "4F",
        "4B",
        "4C",
        "4D",
        "4T",
        "4U",
        "4M",
        "5",
        "6",
        "999",
    }
    assert {record for record, family in all_layouts() if family == "CP"} >= {
        "000",
        "1",
        "2",
        "2S",
        "3",
        "3S",
        "3E",
        "3F",
        "3H",
        "4",
        "4S",
        "4E",
        "4H",
        "4B",
        "4M",
        "5",
        "6",
        "999",
    }


def test_worked_example_is_clean():
    records = frame(CLEAR)
    assert [KINDS[code] for code in records.kind] == ["000", "1", "2", "4", "4F", "5", "6", "999"]
    assert control_bytes(CLEAR) == []
    lines = read_lines(records)
    assert lines.columns["lpp"].tolist() == [1100034]
    assert lines.columns["amount_amo"].tolist() == [5000]
    assert lines.columns["units"].tolist() == [4]
    assert bytes(lines.supply_type) == b"L"
    assert lines.record.tolist() == [5]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_line_ends_are_tolerated_and_told(end, final):
    text = end.join(line.ljust(128).encode() for line in EXAMPLE) + (end if final else b"")
    records = frame(text)
    assert [item.code for item in control_bytes(text)] == ["F010"]
    assert read_lines(records).columns["amount_billed"].tolist() == [5000]


def test_short_record_in_separated_file_is_named():
    lines = [line.ljust(128).encode() for line in EXAMPLE]
    lines[3] = lines[3][:127]
    with pytest.raises(B2Error) as caught:
        frame(b"\n".join(lines))
    assert (caught.value.finding.code, caught.value.finding.record) == ("F001", 4)


def test_keys_of_known_numbers():
    assert keys.nir_key("1550375999001") == 33
    assert keys.nir_key("2A".join(("14912", "004001"))) == 97 - 1491219004001 % 97
    assert keys.luhn_key("29199110") == 7
    assert keys.luhn_ok(np.array([291991107, 420788606, 291991108]), 9).tolist() == [True, True, False]
    assert keys.lpp_ok(np.array([1136581, 1154886, 1154806])).tolist() == [True, True, False]


def test_column_keys_agree_with_scalar_ones():
    people = sector().population
    for row in range(0, 700, 37):
        assert people.nir_key[row] == keys.nir_key(bytes(people.nir[row]).decode())


def test_digits_do_not_fit():
    with pytest.raises(OverflowError):
        digits.write(np.zeros((1, 128), np.uint8), slice(0, 2), np.array([100]))


def test_calendar():
    days = np.array([260228, 260229, 240229, 261301, 260100, 260431])
    assert calendar_ok(days).tolist() == [True, False, True, False, False, False]


def test_share_out_keeps_every_cent():
    shares = share_out(np.array([100, 0, 7]), np.array([0, 0, 0, 1, 2, 2]), np.array([1, 1, 1, 5, 0, 0]))
    assert shares.tolist() == [33, 33, 34, 0, 3, 4]


def test_cp_file_reads():
    provider = next(p for p in sector().providers if p.norm == "CP")
    for rank in range(3):
        content = a_file(provider.rank, rank)
        if content:
            assert frame(content).family == "CP"
            assert control_bytes(content) == []
            return
    pytest.fail("the establishment billed nothing in three months")


def test_zone_lookup():
    zone = layout("4F", "STD")["lpp_code"]
    assert (zone.start, zone.end) == (43, 55)
    with pytest.raises(KeyError):
        layout("4F", "STD")["nope"]


def test_every_rule_says_what_and_what_to_do():
    for rule in rules().values():
        assert rule.severity in ("error", "warning")
        assert rule.message.endswith(".") and rule.remedy.endswith(".") and rule.source
