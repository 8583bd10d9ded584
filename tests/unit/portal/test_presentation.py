"""French figures, exports, charts and maps."""

from django.template import Context, Template

from belvedere.portal import charts, exports, maps, market, numbers


def test_figures_are_written_in_french():
    assert numbers.integer(1234567) == "1\u202f234\u202f567"
    assert numbers.change(0.042) == "+4,2\u00a0%"
    assert numbers.change(-0.006) == "\u22120,6\u00a0%"
    assert numbers.change(None) == "—"
    assert numbers.euros(127_000_000, short=True) == "1,27\u00a0M€"
    assert numbers.euros(4_500_000, short=True) == "45,0\u00a0k€"
    assert numbers.month("2026-10") == "oct. 2026"
    assert numbers.of_month("2026-08") == "d’août 2026"


def test_masked_absent_and_zero_look_different():
    shown = [Template("{{ value|cellule }}").render(Context({"value": value})) for value in ("masked", None, 0)]
    assert len(set(shown)) == 3
    assert "masqué" in shown[0] and "—" in shown[1] and shown[2] == "0"


def test_csv_guards_formulas_and_speaks_to_excel():
    excel = exports.csv_response("t", ("a", "b"), [("=1+1", 1.5), ("masked", None)], excel=True).content
    assert excel.startswith(b"\xef\xbb\xbf")
    assert excel.decode("utf-8-sig") == "a;b\r\n'=1+1;1,5\r\nmasqué;\r\n"
    assert exports.csv_response("t", ("a",), [(1.5,)], excel=False).content == b"a\r\n1.5\r\n"


def test_ratios_are_told_only_if_both_terms_are():
    assert market.ratio("masked", 3) == "masked"
    assert market.ratio(3, "masked") == "masked"
    assert market.ratio(3, 0) is None
    assert market.growth(11, 10) == 11 / 10 - 1


def test_a_masked_value_moves_nothing_on_the_map():
    values = {"69": 3.0, "01": "masked", "75": 9.0}
    drawn = maps.choropleth(values, (2.0, 5.0), ("a", "b", "c"), {})
    by_zone = {href.split("-")[1]: css for href, css, _ in drawn.shapes}
    assert (by_zone["69"], by_zone["01"], by_zone["75"], by_zone["13"]) == ("z1", "zm", "z2", "zn")
    assert {band.css: band.count for band in drawn.legend} == {"z0": 0, "z1": 1, "z2": 1, "zm": 1, "zn": 98}


def test_every_department_has_an_outline():
    from belvedere.engine.nomenclature.territories import departments

    drawn = {href.split("-")[1] for href, _, _ in maps.choropleth({}, (1.0,), ("a", "b"), {}).shapes}
    assert drawn == {item.code for item in departments()}


def test_charts_carry_their_finding():
    figure = charts.figure({"Vous": [("2026-01", 100.0), ("2026-02", 110.0)]}, {"Vous": charts.ME}, "Vous : indice 110")
    assert 'aria-label="Vous : indice 110"' in figure
    assert figure.count("<svg") == 2
    assert charts.sparkline([1.0]) == ""


def test_flows_page_counts_agree_and_an_empty_one_has_no_tile():
    from belvedere.portal.member.flows import _plural, present

    assert [_plural(count, "facture refusée") for count in (0, 1, 2)] == ["0 facture refusée", "1 facture refusée", "2 factures refusées"]
    assert _plural(2, "flux compté") == "2 flux comptés"
    assert present([]).tiles == ()
